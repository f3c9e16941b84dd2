"""A plain training script: MNIST images, augmentation in the workers, label smoothing, AdamW, TensorBoard."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

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
train = DataLoader(Digits(0, args.rows, noise=0.1), 100, shuffle=True)
valid = DataLoader(Digits(args.rows, 2 * args.rows, noise=0.0), 500)
test = DataLoader(Digits(2 * args.rows, None, noise=0.0), 500)
optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.01)
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
        loss = cross_entropy(net(x), y, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss = evaluate(valid)
    writer.add_scalar("valid_loss", loss, epoch)
    print(f"epoch {epoch}: validation loss {loss:.4f}")
    if loss < best:
        best = loss
        torch.save(net.state_dict(), f"{args.out}/net.pt")

net.load_state_dict(torch.load(f"{args.out}/net.pt"))
print(f"best validation loss {best:.4f}, test loss {evaluate(test):.4f}")
