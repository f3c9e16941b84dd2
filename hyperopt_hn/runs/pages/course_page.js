// The record at the time of the slider: a line through every panel, and its numbers as a table.
const at = time.value, step = steps[at]
for (const line of lines) line.location = step
const text = (x) => Number.isFinite(x) ? x.toPrecision(6).replace("-", "\u2212") : "\u2013"
numbers.data = { what: names, value: values.map((column) => column[at]) }
const rows = names.map((name, i) => `<tr><th scope="row">${name}</th><td>${text(values[i][at])}</td></tr>`)
table.text = `<p>step ${step}, record ${at + 1} of ${steps.length}</p><table><tbody>${rows.join("")}</tbody></table>`
