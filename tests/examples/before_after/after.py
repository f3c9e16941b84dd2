"""The plain script, tuning its dropout, noise, label smoothing and weight decay while it trains."""

import argparse
from itertools import cycle

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

from hyperopt_hn import Hyper
from hyperopt_hn.nn import SelfTuner, smoothed_cross_entropy, squared_norm

parser = argparse.ArgumentParser()
parser.add_argument("images", help="an npz file with x (rows, 28, 28) in [0, 1] and y (rows,)")
parser.add_argument("--out", default="runs/plain")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--rows", type=int, default=3000, help="training rows; as many follow for validation")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Digits(Dataset):
    def __init__(self, start, stop, noise):
        data = np.load(args.images)
        self.x = torch.as_tensor(data["x"][start:stop]).float()
        self.y = torch.as_tensor(data["y"][start:stop]).long()
        self.noise = noise

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i].flatten() + self.noise * torch.randn(784), self.y[i]


net = nn.Sequential(
    nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(256, 10),
)  # fmt: skip
train = DataLoader(Digits(0, args.rows, noise=0.0), 100, shuffle=True)
valid = DataLoader(Digits(args.rows, 2 * args.rows, noise=0.0), 500)
test = DataLoader(Digits(2 * args.rows, None, noise=0.0), 500)


def train_loss(model, batch, h):
    noisy = batch[0] + h["noise"][:, None] * torch.randn_like(batch[0])
    return smoothed_cross_entropy(model(noisy), batch[1], h["smoothing"]) + h["decay"] * squared_norm(model)


hypers = [Hyper("dropout", 0.2, 0.0, 0.9), Hyper("noise", 0.1, 0.0, 1.0), Hyper("smoothing", 0.05, 0.0, 0.5)]
tuner = SelfTuner(
    net, [*hypers, Hyper("decay", 1e-5, 1e-8, 1e-2, log=True, shared=True)],
    dropout={"*": "dropout"}, train_loss=train_loss,
    valid_loss=lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
    optimizer=lambda parameters: torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0), seed=args.seed,
)  # fmt: skip
valid_batches = cycle(valid)
writer = SummaryWriter(args.out)


def evaluate(loader):
    net.eval()
    with torch.no_grad():
        losses = [cross_entropy(net(x), y, reduction="none") for x, y in loader]
    net.train()
    return torch.cat(losses).mean().item()


best = float("inf")
for epoch in range(args.epochs):
    for x, y in train:
        tuner.train_step((x, y))
        if tuner.due:
            tuner.tune_step(next(valid_batches))
    loss = tuner.evaluate(valid)["valid_loss"]
    writer.add_scalar("valid_loss", loss, epoch)
    print(f"epoch {epoch}: validation loss {loss:.4f}", tuner.hypers())
    if loss < best:
        best = loss
        torch.save(tuner.plain().state_dict(), f"{args.out}/net.pt")

net.load_state_dict(torch.load(f"{args.out}/net.pt"))
print(f"best validation loss {best:.4f}, test loss {evaluate(test):.4f}")
