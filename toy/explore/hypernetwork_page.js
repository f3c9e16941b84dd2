// The arithmetic of a small hypernetwork: what toy/explore/small_network.py and exact.py compute, for one λ.
// net: {hidden, learned, exact}; a family is {gram, cross, total, terms, inner}, matrices flat and row by row.

function coefficients(net, lam) {
  if (net.hidden === null) return [lam, 1]
  const a = []
  for (let h = 0; h < net.hidden.weight.length; h++)
    a.push(Math.max(0, lam * net.hidden.weight[h] + net.hidden.bias[h]))
  a.push(1)
  return a
}

function exact_coefficients(exact, lam) {
  const { values, lengths, scale } = exact
  const wanted = Math.exp(lam) * scale
  let end = 0
  for (let k = 0; k < values.length; k++) end += (values[k] * lengths[k]) ** 2
  if (wanted >= Math.sqrt(end)) return Array.from(values, () => 0)
  let low = -40, high = 40
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2, mu = Math.exp(middle)
    let squares = 0
    for (let k = 0; k < values.length; k++) squares += (values[k] / (values[k] ** 2 + mu) * lengths[k]) ** 2
    if (mu * Math.sqrt(squares) < wanted) low = middle
    else high = middle
  }
  const mu = Math.exp((low + high) / 2)
  return Array.from(values, (s) => s / (s * s + mu))
}

function form(matrix, a, b) {
  let sum = 0
  for (let i = 0; i < a.length; i++) {
    let row = 0
    for (let j = 0; j < b.length; j++) row += matrix[i * b.length + j] * b[j]
    sum += a[i] * row
  }
  return sum
}

function losses(family, a, lam) {
  const found = { norm: Math.sqrt(Math.max(form(family.inner, a, a), 0)) }
  for (const split of ["train", "valid", "test"]) {
    const { gram, cross, total, terms } = family.splits[split]
    let dot = 0
    for (let i = 0; i < a.length; i++) dot += a[i] * cross[i]
    found[split] = 50 * (form(gram, a, a) - 2 * dot + total) / terms + Math.log(0.1) + 0.5 * Math.log(2 * Math.PI)
  }
  found.train += Math.exp(lam) * found.norm
  return found
}

function learned_pixels(net, a) {
  const { turn, rows, count } = net.look, size = rows.length / count, w = new Float64Array(size)
  for (let r = 0; r < count; r++) {
    let c = 0
    for (let k = 0; k < a.length; k++) c += a[k] * turn[k * count + r]
    for (let p = 0; p < size; p++) w[p] += c * rows[r * size + p]
  }
  return w
}

function exact_pixels(exact, d) {
  const K = d.length, inputs = exact.inputs.length / K, outputs = exact.outputs.length / K
  const w = new Float64Array(inputs * outputs)
  for (let k = 0; k < K; k++)
    for (let i = 0; i < inputs; i++) {
      const c = d[k] * exact.inputs[k * inputs + i]
      for (let o = 0; o < outputs; o++) w[i * outputs + o] += c * exact.outputs[k * outputs + o]
    }
  return w
}

function paint(images, row, w, classes, side) {
  for (let c = 0; c < classes; c++) {
    const image = images[row * classes + c]
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) image[(side - 1 - y) * side + x] = w[(y * side + x) * classes + c]
  }
}

function tabulate(data, lam) {
  const cell = (x) => `<td>${x.toFixed(6).replace("-", "\u2212")}</td>`
  const line = (i) => `<tr><th scope="row">${data.what[i]}</th>${["train", "valid", "test", "norm"].map((name) => cell(data[name][i])).join("")}</tr>`
  const head = ["", "training loss", "validation loss", "test loss", "length of w"].map((word) => `<th scope="col">${word}</th>`)
  return `<p>\u03bb = ${lam.toFixed(3).replace("-", "\u2212")}, weight decay e<sup>\u03bb</sup> = ${Math.exp(lam).toPrecision(5)}</p>` +
    `<table><thead><tr>${head.join("")}</tr></thead><tbody>${[0, 1, 2].map(line).join("")}</tbody></table>`
}

const lam = slider.value
const a = coefficients(net, lam), d = exact_coefficients(net.exact, lam)
const learned = losses(net.learned, a, lam), exact = losses(net.exact, d, lam)
learned.distance = Math.sqrt(Math.max(
  form(net.learned.inner, a, a) - 2 * form(net.between, a, d) + form(net.exact.inner, d, d), 0))
numbers.data = {
  what: ["weights of the hypernetwork", "exact best response", "difference"],
  train: [learned.train, exact.train, learned.train - exact.train],
  valid: [learned.valid, exact.valid, learned.valid - exact.valid],
  test: [learned.test, exact.test, learned.test - exact.test],
  norm: [learned.norm, exact.norm, learned.distance],
}
points.data = {
  lam: [lam, lam, lam, lam],
  loss: [learned.train, learned.valid, exact.train, exact.valid],
  colour: points.data.colour,
  face: points.data.face,
}
here.location = lam
const w = learned_pixels(net, a), v = exact_pixels(net.exact, d)
const difference = w.map((value, p) => value - v[p])
const shown = images.data.image
paint(shown, 0, w, net.classes, net.side)
paint(shown, 1, v, net.classes, net.side)
paint(shown, 2, difference, net.classes, net.side)
images.change.emit()
table.text = tabulate(numbers.data, lam)
