// SPDX-License-Identifier: Apache-2.0
// The page of `datastall serve`: the runs of this machine, read once a second from /live.json
// (the page live), while somebody looks.

const EVERY_MS = 1000, KEPT = 3600;

function live(data) {
  const state = {runs: [], chosen: decodeURIComponent(location.hash.slice(1)), kept: new Map(), rows: new Map(), told: null};
  const status = el('p', {class: 'faint', role: 'status'}, 'reading ...');
  const filter = el('input', {type: 'search', placeholder: 'filter by name or cause', 'aria-label': 'Filter the runs', oninput: () => showList()});
  const body = el('tbody', {});
  const list = el('div', {class: 'scroll'}, el('table', {}, el('caption', {class: 'hidden'}, 'Runs of this machine'),
    el('thead', {}, el('tr', {}, [t('run'), t('state'), n('for'), n('waiting now'), n('in all'), n('now'), t('cause'), t('verdict')].map((column) => el('th', {class: column.number ? 'n' : null, scope: 'col'}, column.title)))), body));
  const more = el('p', {class: 'faint'});
  const detail = el('section', {'aria-label': 'The chosen run'});
  state.detail = null;

  function rowOf(run) {
    if (!state.rows.has(run.id)) {
      const button = el('button', {type: 'button', onclick: () => choose(run.id)}, run.name || run.id);
      const cells = Array.from({length: 7}, (_, i) => el('td', {class: i >= 1 && i <= 4 ? 'n' : null}));
      state.rows.set(run.id, {row: el('tr', {'data-run': run.id}, el('td', {}, button), cells), cells, button});
    }
    return state.rows.get(run.id);
  }

  function showList() {
    const wanted = filter.value.trim().toLowerCase();
    const runs = state.runs.filter((run) => [run.id, run.name, run.command, run.cause, run.severity].some((text) => (text || '').toLowerCase().includes(wanted)));
    runs.forEach((run, place) => {
      const {row, cells, button} = rowOf(run);
      const texts = [words(run.state), duration(run.duration_s), run.state === 'running' ? pct(run.now.stall_share) : '', (run.upper_bound ? 'at most ' : '') + pct(run.stall_share),
        run.state === 'running' ? rate(run.now) : '', run.cause && run.cause !== 'none' ? words(run.cause) : '', words(run.severity)];
      texts.forEach((text, i) => { if (cells[i].textContent !== text) cells[i].textContent = text; });
      cells[6].className = run.severity;
      row.className = run.id === state.chosen ? 'chosen' : '';
      button.setAttribute('aria-pressed', String(run.id === state.chosen));
      if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
    });
    while (body.children.length > runs.length) body.lastElementChild.remove();
    for (const id of state.rows.keys()) if (!state.runs.some((run) => run.id === id)) state.rows.delete(id);
    const hidden = state.count - runs.length;
    more.textContent = state.runs.length === 0 ? 'No run is in progress, and none ended within the last ten minutes. Start one with: datastall run python train.py' : hidden > 0 ? `${count(hidden)} more` : '';
  }

  const rate = (now) => (known(now.samples_per_s) ? num(now.samples_per_s) + ' samples/s' : known(now.batches_per_s) ? num(now.batches_per_s) + ' batches/s' : 'unknown');

  // What the page saw of each run since it was opened.
  function keep(answer) {
    for (const run of answer.runs) {
      if (!state.kept.has(run.id)) state.kept.set(run.id, {x: [], rate: [], stall: [], power: []});
      const kept = state.kept.get(run.id);
      const power = run.gpus.map((gpu) => gpu.power_w).filter(known);
      kept.x.push((answer.time_ms - state.began) / 1000);
      kept.rate.push(run.now.samples_per_s ?? run.now.batches_per_s);
      kept.stall.push(run.now.stall_share);
      kept.power.push(power.length ? power.reduce((a, b) => a + b, 0) : null);
      if (kept.x.length > KEPT) for (const values of Object.values(kept)) values.shift();
    }
    for (const id of state.kept.keys()) if (!answer.runs.some((run) => run.id === id)) state.kept.delete(id);
  }

  function choose(id) {
    state.chosen = id;
    history.replaceState(null, '', '#' + encodeURIComponent(id));
    showList();
    showDetail();
  }

  const ago = (s) => (s === 0 ? 'now' : s < 0 ? '\u2212' + -s + ' s' : s + ' s');
  function chartsOf(run) {
    const kept = state.kept.get(run.id);
    const seconds = run.stall.map((_, i) => i - run.stall.length + 1);
    const busy = run.gpus.length === 1 ? run.gpus[0].busy : [];
    const minute = {id: 'minute', title: 'The last minute', note: 'each second; of ranks that run, their mean', x: seconds, xText: ago, top: 1, series: [
      {label: 'waiting for data', values: run.stall.map((p) => (p === null ? null : p / 100)), colour: '--stall', text: pct, fill: true},
      ...(busy.length ? [{label: 'GPU busy', values: busy.map((p) => (p === null ? null : p / 100)), colour: '--busy', text: pct}] : [])]};
    const since = (id, title, label, values, tone, text) => ({id, title, note: 'means of 10 s, since this page was opened; at most an hour', x: [...kept.x], xText: clock, series: [{label, values: [...values], colour: tone, text, fill: true}]});
    const charts = [minute, since('rate', 'Throughput', known(run.now.samples_per_s) ? 'samples per second' : 'batches per second', kept.rate, '--s1', num),
      since('stall', 'Waiting for data', 'waiting for data', kept.stall, '--stall', pct)];
    charts[2].top = 1;
    if (kept.power.some(known)) charts.push(since('power', 'Power', 'all GPUs together', kept.power, '--s2', (w) => num(w) + ' W'));
    return charts;
  }

  function verdictOf(run) {
    const parts = known(run.stall_share) ? [{label: run.upper_bound ? 'waiting for data, at most' : 'waiting for data', share: run.stall_share, colour: '--stall'}] : [];
    return el('section', {class: 'card'}, labelled('RUN', `${run.name ? run.name + ': ' : ''}${run.command || ''}`),
      el('p', {class: 'verdict ' + run.severity}, run.text || 'nothing was recorded yet'), parts.length ? shareBar(parts) : null,
      run.throughput ? labelled('SPEED', run.throughput) : null, run.cause && run.cause !== 'none' ? labelled('CAUSE', words(run.cause)) : null,
      run.suggestion ? labelled('TRY', run.suggestion) : null, labelled('MORE', `datastall show ${run.id}; datastall report ${run.id}`));
  }

  function tablesOf(run) {
    const name = (row) => (known(row.rank) ? 'rank ' + row.rank : 'pid ' + row.pid);
    const stuck = run.loaders.some((loader) => loader.unfinished_wait_s > 1);
    return [
      table('Loaders', [t('loader'), t('rank'), n('workers'), n('batches'), n('waiting'), n('p50'), n('p99'), t('cause'), ...(stuck ? [t('at the moment')] : [])], run.loaders.map((loader) => [loader.name, String(loader.rank ?? ''), count(loader.num_workers), count(loader.batches), pct(loader.waiting_share),
        ms(loader.wait_p50_ms), ms(loader.wait_p99_ms), words(loader.cause), ...(stuck ? [loader.unfinished_wait_s > 1 ? `waiting for ${duration(loader.unfinished_wait_s)}` : ''] : [])])),
      run.gpus.length ? table('GPUs', [t('GPU'), t('name'), n('busy'), n('waiting'), n('memory'), n('power')], run.gpus.map((gpu) => [String(gpu.index), gpu.name || '', pct(gpu.busy_share), pct(gpu.stall_share), bytes(gpu.memory_used_bytes), known(gpu.power_w) ? num(gpu.power_w) + ' W' : 'unknown'])) : null,
      run.ranks.length > 1 ? [colourRows('Waiting for data in the last minute, by rank', 'a square is a second', run.ranks.map((rank) => ({label: name(rank), percent: rank.stall})), 0, 1, '--stall'),
        table('Ranks', [t('rank'), t('machine'), t('state'), n('waiting now'), n('in all'), n('now')], run.ranks.map((rank) => [name(rank), rank.hostname || '', words(rank.state), pct(rank.now.stall_share), (rank.upper_bound ? 'at most ' : '') + pct(rank.stall_share), rate(rank.now)])),
        run.processes > run.ranks.length ? el('p', {class: 'faint'}, `${count(run.processes - run.ranks.length)} more`) : null] : null,
    ].flat().filter(Boolean);
  }

  function showDetail() {
    const run = state.runs.find((one) => one.id === state.chosen);
    if (!run) {
      detail.replaceChildren();
      state.detail = null;
      return;
    }
    const options = chartsOf(run);
    if (state.detail === null || state.detail.id !== run.id || state.detail.charts.length !== options.length) {
      state.detail = {id: run.id, verdict: el('div', {}), tables: el('div', {}), charts: options.map(chart)};
      detail.replaceChildren(el('h2', {}, run.id), state.detail.verdict, el('div', {class: 'charts'}, state.detail.charts), state.detail.tables);
    } else {
      state.detail.charts.forEach((figure, i) => figure.renew(options[i]));
    }
    for (const [place, made] of [[state.detail.verdict, [verdictOf(run)]], [state.detail.tables, tablesOf(run)]]) {
      if (!place.contains(document.activeElement)) place.replaceChildren(...made);
    }
  }

  async function look() {
    if (!document.hidden) {
      try {
        const reply = await fetch('live.json', {cache: 'no-store'});
        if (!reply.ok) throw new Error(`the answer is ${reply.status}`);
        const answer = await reply.json();
        state.began ??= answer.time_ms;
        state.runs = answer.runs;
        state.count = answer.count;
        keep(answer);
        if (!answer.runs.some((run) => run.id === state.chosen) && answer.runs.length) state.chosen = answer.runs[0].id;
        showList();
        showDetail();
        say(`${count(answer.runs.filter((run) => run.state === 'running').length)} running of ${count(answer.count)} listed; read once a second`);
      } catch (error) {
        say(`datastall serve does not answer (${error.message}); trying again`);
      }
    }
    setTimeout(look, EVERY_MS);
  }
  function say(text) {
    if (state.told !== text) status.textContent = state.told = text;
  }

  look();
  return [el('a', {class: 'skip', href: '#page'}, 'To the runs'), el('header', {}, el('h1', {}, 'datastall'),
    el('p', {class: 'faint'}, `How long the training runs on this machine wait for their data. datastall ${data.datastall_version}; `, el('a', {href: 'metrics'}, 'metrics'), ' for Prometheus, ', el('a', {href: 'live.json'}, 'what this page reads'), '.')),
    status, filter, list, more, detail];
}
