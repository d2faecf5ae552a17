// SPDX-License-Identifier: Apache-2.0
// Elements and figures. Whatever comes from a run goes into the page as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

// el('p', {class: 'faint'}, 'text', child, [children]); null and undefined are left out.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  return fill(node, attributes, children);
}
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

const known = (x) => typeof x === 'number' && Number.isFinite(x);

function fixed(x, digits) {
  return x.toFixed(digits).replace('-', '\u2212');
}
// Three figures: 1,234,567 -> 1.23 M.
function num(x) {
  if (!known(x)) return 'unknown';
  const size = Math.abs(x);
  for (const [limit, unit] of [[1e12, ' T'], [1e9, ' G'], [1e6, ' M']]) {
    if (size >= limit) return fixed(x / limit, size / limit < 10 ? 2 : size / limit < 100 ? 1 : 0) + unit;
  }
  if (size >= 1000) return Math.round(x).toLocaleString('en-US');
  if (size === 0 || size >= 100) return fixed(x, 0);
  return fixed(x, size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size))));
}
const count = (x) => (Number.isInteger(x) && Math.abs(x) < 1e7 ? x.toLocaleString('en-US') : num(x));
const pct = (x) => (known(x) ? fixed(x * 100, 1) + ' %' : 'unknown');
const ms = (x) => (!known(x) ? 'unknown' : x >= 1000 ? num(x / 1000) + ' s' : num(x) + ' ms');
function bytes(x) {
  if (!known(x)) return 'unknown';
  let i = 0;
  for (; Math.abs(x) >= 1024 && i < 5; i++) x /= 1024;
  return num(x) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][i];
}
function duration(s) {
  if (!known(s)) return 'unknown';
  if (s < 1) return Math.round(s * 1000) + ' ms';
  if (s < 60) return fixed(s, 1) + ' s';
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  return s < 3600 ? Math.floor(s / 60) + 'm ' + two(s % 60) + 's' : Math.floor(s / 3600) + 'h ' + two((s % 3600) / 60) + 'm';
}
// A point of time on an axis: 1:05, 2:00:00.
function clock(s) {
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  const sign = s < 0 ? '\u2212' : '';
  s = Math.abs(s);
  return sign + (s < 3600 ? Math.floor(s / 60) + ':' + two(s % 60) : Math.floor(s / 3600) + ':' + two((s % 3600) / 60) + ':' + two(s % 60));
}
const words = (key) => String(key).replace(/_/g, ' ');

// A table: columns [{title, number}], rows of cells (text or nodes).
function table(caption, columns, rows, attributes) {
  const cell = (tag, column, content) => el(tag, {class: column && column.number ? 'n' : null, scope: tag === 'th' ? 'col' : null}, content);
  return el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
    el('table', attributes, el('caption', {class: 'hidden'}, caption),
      el('thead', {}, el('tr', {}, columns.map((column) => cell('th', column, column.title)))),
      el('tbody', {}, rows.map((row) => (row instanceof Node ? row : el('tr', {}, row.map((content, i) => cell('td', columns[i], content))))))));
}
const n = (title) => ({title, number: true});
const t = (title) => ({title});

function labelled(label, content) {
  return el('p', {class: 'row'}, el('span', {class: 'label'}, label), ' ', el('span', {}, content));
}
