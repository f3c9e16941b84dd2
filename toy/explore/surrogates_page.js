// Which true losses are shown, and each surrogate's errors there.
const shown = []
for (let i = 0; i < points.data.true.length; i++) if (points.data.true[i] <= most.value) shown.push(i)
view.filter.indices = shown
const text = (x) => x.toFixed(6).replace("-", "\u2212")
const errors = names.map((name) => shown.map((i) => points.data[name][i] - points.data.true[i]))
const mean = (xs) => xs.reduce((sum, x) => sum + x, 0) / xs.length
numbers.data = {
  what: titles,
  bias: errors.map(mean),
  rmse: errors.map((xs) => Math.sqrt(mean(xs.map((x) => x * x)))),
}
const head = ["", "bias", "root mean squared error"].map((word) => `<th scope="col">${word}</th>`).join("")
const rows = titles.map((title, i) => `<tr><th scope="row">${title}</th><td>${text(numbers.data.bias[i])}</td>` +
  `<td>${text(numbers.data.rmse[i])}</td></tr>`)
table.text = `<p>${shown.length} of ${points.data.true.length} networks</p>` +
  `<table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`
