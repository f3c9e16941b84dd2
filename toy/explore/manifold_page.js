// The loss manifold's closed forms (toy/manifold.py) at λ, with the linear response that touches the exact one at λ̂.
const train_loss = (w, lam) =>
  -Math.log(Math.exp(-1) + Math.exp(-((w - Math.sin(lam + Math.PI)) ** 2))) - (lam + Math.sin(2 * lam)) / 10
const best = (lam) => Math.sin(lam + Math.PI)
const touching = (lam) => best(hat.value) + Math.cos(hat.value + Math.PI) * (lam - hat.value)
const text = (x) => x.toFixed(6).replace("-", "\u2212")

const at = lam.value, w = [best(at), touching(at)]
numbers.data = {
  what: ["exact response w*(λ)", "linear response w_φ(λ)"],
  w,
  train: w.map((one) => train_loss(one, at)),
  valid: w.map(Math.sin),
}
const lams = Array.from(line.data.lam)
line.data = { lam: lams, w: lams.map(touching), train: lams.map((one) => train_loss(touching(one), one)),
              valid: lams.map((one) => Math.sin(touching(one))) }
points.data = { lam: [at, at], w, train: numbers.data.train, valid: numbers.data.valid, colour: points.data.colour }
tangent.data = { lam: [hat.value], w: [best(hat.value)] }
const head = ["", "w", "training loss", "validation loss"].map((word) => `<th scope="col">${word}</th>`).join("")
const rows = [0, 1].map((i) => `<tr><th scope="row">${numbers.data.what[i]}</th>` +
  ["w", "train", "valid"].map((name) => `<td>${text(numbers.data[name][i])}</td>`).join("") + "</tr>")
table.text = `<p>λ = ${text(at)}, λ̂ = ${text(hat.value)}</p>` +
  `<table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`
