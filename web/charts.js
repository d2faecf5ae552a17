// SPDX-License-Identifier: Apache-2.0
// Lines over time, drawn by uPlot. Each can be read with the keyboard (arrow keys), and as a table.

const charts = new Set();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888';

// {title, note, x, xText, series: [{label, values, colour, text, fill, dash}], stacked, top, height, id}
function chart(options) {
  const plot = el('div', {class: 'plot', tabindex: '0', role: 'group', 'aria-roledescription': 'chart', 'aria-label': options.title + '. ' + inWords(options)});
  const readout = el('div', {class: 'readout', 'aria-live': 'polite'});
  const figure = el('figure', {class: 'chart', 'aria-label': options.title, 'data-chart': options.id || null},
    el('figcaption', {}, options.title, options.note ? el('small', {}, options.note) : null),
    options.series.length > 1 || options.stacked ? legend(options.series) : null, plot, readout, asTable(options));
  const item = {options, plot, readout, uplot: null, width: 0};
  plot.addEventListener('keydown', (event) => move(item, event));
  charts.add(item);
  new ResizeObserver(() => draw(item, false)).observe(plot);
  // The same lines with other values: what is open stays open, and the cursor where it is.
  figure.renew = (next) => {
    item.options = next;
    if (item.uplot !== null) item.uplot.setData([next.x, ...next.series.map((series) => series.values.map((value) => (known(value) ? value : null)))]);
    const details = figure.querySelector('details');
    if (!details.open) details.replaceWith(asTable(next));
    plot.setAttribute('aria-label', next.title + '. ' + inWords(next));
  };
  return figure;
}

function inWords(options) {
  return options.series.map((series) => {
    const values = series.values.filter(known);
    if (values.length === 0) return series.label + ': not known';
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return `${series.label}: mean ${series.text(mean)}, from ${series.text(Math.min(...values))} to ${series.text(Math.max(...values))}`;
  }).join('; ') + '. The arrow keys read single points; a table follows.';
}

function legend(series) {
  return el('ul', {class: 'keys'}, series.map((one) => {
    const mark = el('i', {});
    mark.style.background = `var(${one.colour})`;
    return el('li', {}, mark, one.label);
  }));
}

function asTable(options) {
  const details = el('details', {}, el('summary', {}, 'Table'));
  // Made when it is opened: most never are.
  details.addEventListener('toggle', () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(table(options.title, [t('time'), ...options.series.map((series) => n(series.label))],
      options.x.map((x, i) => [options.xText(x), ...options.series.map((series) => (known(series.values[i]) ? series.text(series.values[i]) : '\u2013'))])));
  });
  return details;
}

// Of time, in seconds.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];

// Sums from the bottom up, drawn from the top down.
function stack(series) {
  const sums = [];
  let below = series[0].values.map(() => 0);
  for (const one of series) {
    below = below.map((sum, i) => (known(one.values[i]) ? sum + one.values[i] : sum));
    sums.push(below);
  }
  return sums;
}

function draw(item, again) {
  const width = Math.floor(item.plot.clientWidth);
  if (width < 40 || (item.width === width && !again)) return;
  const {options} = item;
  item.width = width;
  if (item.uplot !== null) item.uplot.destroy();
  let shown = options.series;
  let data = shown.map((series) => series.values.map((value) => (known(value) ? value : null)));
  if (options.stacked) {
    data = stack(shown).reverse();
    shown = [...shown].reverse();
  }
  const axis = {stroke: colour('--faint'), grid: {stroke: colour('--grid'), width: 1}, ticks: {show: false}, font: '12px system-ui, sans-serif'};
  const narrow = width < 420;
  item.uplot = new uPlot({
    width, height: options.height || (narrow ? 150 : 190),
    legend: {show: false}, cursor: {y: false, drag: {x: false, y: false}, points: {size: 6}},
    padding: [8, 26, 0, 0],
    scales: {x: {time: false}, y: {range: (_, low, high) => [0, options.top || (high > 0 ? high * 1.08 : 1)]}},
    axes: [{...axis, size: 28, space: 70, incrs: STEPS, values: (_, ticks) => ticks.map(options.xText)},
      {...axis, size: 62, space: 34, ...(shown[0].text === bytes ? {incrs: Array.from({length: 50}, (_, i) => 2 ** i)} : {}), values: (_, ticks) => ticks.map((value) => shown[0].text(value))}],
    series: [{}, ...shown.map((series) => ({
      label: series.label, stroke: colour(series.colour), width: options.stacked ? 0 : 1.6, dash: series.dash,
      fill: options.stacked ? colour(series.colour) : series.fill ? colour(series.colour) + '33' : undefined,
      points: {show: (plot) => plot.data[0].length < 3}, spanGaps: false,
    }))],
    hooks: {setCursor: [(plot) => say(item, plot.cursor.idx)]},
  }, [options.x, ...data], item.plot);
  const canvas = item.plot.querySelector('canvas');
  if (canvas) canvas.setAttribute('aria-hidden', 'true');
}

function say(item, index) {
  const {options} = item;
  item.index = index;
  item.readout.textContent = index === null || index === undefined ? '' : options.xText(options.x[index]) + ': ' +
    options.series.filter((series) => !options.stacked || series.values[index] > 0.005)
      .map((series) => series.label + ' ' + series.text(series.values[index])).join(', ');
}

function move(item, event) {
  const last = item.options.x.length - 1;
  const now = item.index ?? -1;
  const next = {ArrowRight: now + 1, ArrowLeft: now < 0 ? last : now - 1, Home: 0, End: last, PageDown: now + 10, PageUp: now - 10}[event.key];
  if (next === undefined || item.uplot === null) return;
  event.preventDefault();
  const index = Math.max(0, Math.min(last, next));
  const at = item.uplot.valToPos(item.options.x[index], 'x');
  item.uplot.setCursor({left: at, top: 10});
  say(item, index);
}

function redraw() {
  for (const item of charts) {
    if (item.plot.isConnected) draw(item, true);
    else charts.delete(item);
  }
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
// Paper is white.
addEventListener('beforeprint', () => { document.documentElement.classList.add('on-paper'); redraw(); });
addEventListener('afterprint', () => { document.documentElement.classList.remove('on-paper'); redraw(); });
