// SPDX-License-Identifier: Apache-2.0
// What is no line over time: the bar of where the time went, distributions, rows of colours, and what
// workers did around a slow wait. SVG, each with its table.

function drawing(title, note, picture, caption, columns, rows) {
  const details = el('details', {}, el('summary', {}, 'Table'));
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount < 2) details.append(table(caption, columns, rows()));
  });
  return el('figure', {'aria-label': title}, el('figcaption', {}, title, note ? el('small', {}, note) : null), picture, details);
}

// [{label, share, colour}], the rest is unknown.
function shareBar(parts) {
  const bar = el('div', {class: 'bar', role: 'img', 'aria-label': parts.map((part) => `${part.label} ${pct(part.share)}`).join(', ')});
  for (const part of parts) {
    const piece = el('span', {});
    piece.style.width = Math.max(0, Math.min(1, part.share)) * 100 + '%';
    piece.style.background = `var(${part.colour})`;
    bar.append(piece);
  }
  return el('div', {}, bar, el('ul', {class: 'keys'}, parts.map((part) => {
    const mark = el('i', {});
    mark.style.background = `var(${part.colour})`;
    return el('li', {}, mark, `${part.label} ${pct(part.share)}`);
  })));
}

// Bins [low_ms, high_ms, count] on an axis of powers of ten.
function distribution(title, sets) {
  const all = sets.flatMap((set) => set.bins);
  if (all.length === 0) return null;
  const width = 560, height = 170, left = 8, right = 8, base = 140;
  const low = Math.floor(Math.log10(Math.max(1e-4, Math.min(...all.map((bin) => bin[0] || 1e-4)))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...all.map((bin) => bin[1])))));
  const x = (value) => left + (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) * (width - left - right);
  const picture = svg('svg', {class: 'bins', viewBox: `0 0 ${width} ${height}`, width: '100%', role: 'img', 'aria-label': title});
  const most = Math.max(...all.map((bin) => bin[2]));
  for (let power = low; power <= high; power++) {
    const at = x(10 ** power);
    picture.append(svg('line', {class: 'rule', x1: at, x2: at, y1: 10, y2: base}));
    const label = power === high ? 'end' : power === low ? 'start' : 'middle';
    picture.append(svg('text', {class: 'axis', x: at, y: base + 16, 'text-anchor': label}, ms(10 ** power)));
  }
  for (const set of sets) {
    for (const [from, to, number] of set.bins) {
      const tall = Math.max(1.5, (base - 12) * Math.sqrt(number / most));
      const bar = svg('rect', {x: x(from), y: base - tall, width: Math.max(1, x(to) - x(from) - 0.6), height: tall, 'fill-opacity': '0.75'},
        svg('title', {}, `${set.label}, ${ms(from)} to ${ms(to)}: ${count(number)}`));
      bar.style.fill = `var(${set.colour})`;
      picture.append(bar);
    }
  }
  picture.append(svg('text', {class: 'axis', x: left, y: height - 2}, 'height: square root of the number of waits'));
  return drawing(title, null, el('div', {}, legend(sets), picture), title, [t('waits'), n('from'), n('to'), n('number')],
    () => sets.flatMap((set) => set.bins.map((bin) => [set.label, ms(bin[0]), ms(bin[1]), count(bin[2])])));
}

// Rows of percentages, a colour each: {label, percent[]}.
function colourRows(title, note, rows, begin, span, tone) {
  const most = Math.max(...rows.map((row) => row.percent.length));
  if (rows.length === 0 || most === 0) return null;
  const thick = rows.length > 40 ? 9 : 16, name = 92, width = 900, cell = (width - name - 4) / most;
  const height = rows.length * thick + 24;
  const picture = svg('svg', {class: 'wide', viewBox: `0 0 ${width} ${height}`, width: '100%', preserveAspectRatio: 'xMinYMin meet', role: 'img', 'aria-label': title});
  rows.forEach((row, y) => {
    if (thick > 10 || y % 4 === 0) picture.append(svg('text', {class: 'axis', x: 0, y: y * thick + thick - 3}, row.label.slice(0, 14)));
    row.percent.forEach((percent, i) => {
      if (percent === null) return;
      const square = svg('rect', {x: name + i * cell, y: y * thick, width: cell - 0.6, height: thick - 1, 'fill-opacity': 0.08 + 0.92 * percent / 100},
        svg('title', {}, `${row.label}, ${clock(begin + i * span)}: ${percent} %`));
      square.style.fill = `var(${tone})`;
      picture.append(square);
    });
  });
  for (const i of [0, Math.floor(most / 2), most - 1]) {
    picture.append(svg('text', {class: 'axis', x: name + i * cell, y: height - 6, 'text-anchor': i === 0 ? 'start' : i === most - 1 ? 'end' : 'middle'}, clock(Math.max(0, begin + i * span))));
  }
  return drawing(title, note, el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title}, picture), title,
    [t('row'), ...rows[0].percent.map((_, i) => n(clock(Math.max(0, begin + i * span))))],
    () => rows.map((row) => [row.label, ...row.percent.map((percent) => (percent === null ? '\u2013' : percent + ' %'))]));
}

// A slow wait: what the loop and each worker did around it; batches are [batch, worker, begun, items, made, asked, got].
function timeline(slow, number) {
  const before = slow.wait_ms * 0.5, whole = slow.wait_ms * 2, width = 900, name = 84;
  const x = (value) => name + (Math.max(-before, Math.min(whole - before, value)) + before) / whole * (width - name - 6);
  const workers = [...new Set(slow.batches.map((batch) => batch[1]))].sort((a, b) => (a ?? -1) - (b ?? -1)).slice(0, 24);
  const rowsHigh = 18, height = (workers.length + 1) * rowsHigh + 26;
  const title = `Wait ${number}: ${ms(slow.wait_ms)} for batch ${count(slow.batch)}` + (known(slow.at_s) ? `, ${clock(slow.at_s)} into the run` : '');
  const picture = svg('svg', {class: 'wide', viewBox: `0 0 ${width} ${height}`, width: '100%', role: 'img', 'aria-label': title});
  const piece = (row, from, to, tone, says, faint) => {
    if (!known(from) || !known(to) || to < -before || from > whole - before) return;
    const box = svg('rect', {x: x(from), y: row * rowsHigh + 2, width: Math.max(1, x(to) - x(from)), height: rowsHigh - 5, 'fill-opacity': faint ? 0.45 : 0.95}, svg('title', {}, says));
    box.style.fill = `var(${tone})`;
    picture.append(box);
  };
  const lane = (row, text) => picture.append(svg('text', {class: 'axis', x: 0, y: row * rowsHigh + 13}, text));
  lane(0, 'loop');
  workers.forEach((worker, i) => lane(i + 1, worker === null ? 'loads itself' : 'worker ' + worker));
  for (const [batch, worker, begun, items, made, asked, got] of slow.batches) {
    const own = batch === slow.batch;
    const row = workers.indexOf(worker) + 1;
    piece(0, asked, got, '--stall', `waits ${ms(got - asked)} for batch ${batch}`, !own);
    if (row === 0) continue;
    piece(row, begun, items, '--k0', `batch ${batch}: items, ${ms(items - begun)}`, !own);
    piece(row, items, made, '--k4', `batch ${batch}: collation, ${ms(made - items)}`, !own);
    if (known(made) && got - made > slow.wait_ms * 0.004) piece(row, made, got, '--k12', `batch ${batch}: made, until the loop has it, ${ms(got - made)}`, true);
  }
  for (const at of [0, slow.wait_ms]) picture.append(svg('line', {class: 'rule', x1: x(at), x2: x(at), y1: 0, y2: height - 20}));
  picture.append(svg('text', {class: 'axis', x: x(0), y: height - 6, 'text-anchor': 'middle'}, '0'));
  picture.append(svg('text', {class: 'axis', x: x(slow.wait_ms), y: height - 6, 'text-anchor': 'middle'}, ms(slow.wait_ms)));
  return drawing(title, null, el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title}, picture), title,
    [n('batch'), t('worker'), n('begun'), n('items there'), n('collated'), n('asked for'), n('got')],
    () => slow.batches.map(([batch, worker, ...times]) => [count(batch), worker === null ? 'the loop' : String(worker), ...times.map((time) => (known(time) ? fixed(time, 2) + ' ms' : '\u2013'))]));
}
