// SPDX-License-Identifier: Apache-2.0
// A report: the document of `show --json` (the page json) and what the run held over time (the page on reports).

// Shown by a part of their own. What a later version adds is shown as a table.
const SHOWN = new Set(['schema', 'datastall_version', 'run', 'window', 'verdict', 'cost', 'loaders', 'gpus', 'gpu_sampling', 'stages', 'processes', 'damage']);
const LOADER_SHOWN = new Set(['name', 'why', 'workers', 'predicted', 'slowest_waits', 'wait_ms', 'startup_ms', 'failed_ms', 'depth', 'queue_state', 'exposed_stall_s']);

function report(data) {
  const two = data.runs.length > 1;
  const page = [el('a', {class: 'skip', href: '#verdict-0'}, 'To the verdict')];
  page.push(el('header', {}, el('h1', {}, data.runs.map((run) => run.summary.run.id).join(' and ')),
    el('p', {class: 'faint'}, `A report by datastall ${data.datastall_version}. "datastall help measuring" explains every word.`)));
  if (two) page.push(comparison(data));
  const sections = data.runs.map((run, i) => el('section', {'aria-label': 'Run ' + run.summary.run.id}, runSections(run, i, two)));
  page.push(two ? el('div', {class: 'runs'}, sections) : sections);
  return page;
}

function runSections(run, index, two) {
  return [
    verdict(run, index, two), overTime(run), waits(run), loaders(run), ranks(run), gpus(run), stages(run), machine(run), others(run.summary),
  ];
}

// ---- the answer ----

function verdict(run, index, two) {
  const {summary} = run, {verdict: says, run: about} = summary;
  const worst = summary.loaders[0];
  const parts = [];
  const gpu = summary.gpus.length === 1 ? summary.gpus[0] : null;
  if (known(says.worst_share)) parts.push({label: (says.upper_bound ? 'waiting for data, at most' : 'waiting for data'), share: says.worst_share, colour: '--stall'});
  if (gpu && known(gpu.busy_share)) parts.push({label: 'GPU busy', share: gpu.busy_share, colour: '--busy'});
  if (gpu && known(gpu.other_idle_share)) parts.push({label: 'idle otherwise', share: gpu.other_idle_share, colour: '--other'});
  const sentences = (says.text || '').split('\n').filter((line) => line !== '');
  return el('section', {class: 'card', id: 'verdict-' + index, tabindex: '-1'},
    two ? el('h2', {}, (index === 0 ? 'First: ' : 'Second: ') + about.id) : null,
    labelled('RUN', `${about.name ? about.name + ': ' : ''}${about.command || ''}`),
    el('p', {class: 'faint'}, [about.started_at ? 'began ' + about.started_at : null, 'took ' + duration(about.duration_s),
      known(about.setup_s) ? 'including ' + duration(about.setup_s) + ' set-up' : null, about.state === 'ended' ? (known(about.exit_status) ? 'exit\u00a0' + about.exit_status : 'ended') : words(about.state)].filter(Boolean).join(', ')),
    about.launcher_text ? el('p', {}, about.launcher_text) : null,
    el('p', {class: 'verdict ' + says.severity}, sentences.length ? sentences.join(' ') : 'nothing was recorded'),
    parts.length ? shareBar(parts) : null,
    run.throughput_text ? labelled('SPEED', run.throughput_text + (says.prize ? '; ' + says.prize : '')) : null,
    worst && worst.why.primary !== 'none' ? [labelled('CAUSE', `${words(worst.why.primary)} (${worst.name})`),
      el('ul', {class: 'plain'}, worst.why.evidence.map((line) => el('li', {}, line))),
      worst.why.suggestion ? labelled('TRY', worst.why.suggestion) : null] : null,
    cost(run),
    summary.damage.problems > 0 ? labelled('DAMAGED', `${count(summary.damage.problems)} problems; the first: ${summary.damage.first_problem}`) : null);
}

function cost(run) {
  return run.summary.cost && run.summary.cost.text ? labelled('COST', run.summary.cost.text) : null;
}

function comparison(data) {
  const c = data.comparison, unit = c.throughput_unit;
  const row = (label, pair, text) => [label, text(pair[0]), text(pair[1])];
  return el('section', {class: 'card'}, el('h2', {}, 'The second compared with the first'),
    el('p', {class: 'verdict ' + ({faster: 'none', slower: 'severe'}[c.result] || '')}, data.comparison_text),
    table('Both runs', [t('figure'), n('first'), n('second')], [
      row('throughput', c.throughput, (x) => `${num(x)} ${unit}`), row('window', c.window_s, duration), row('stall', c.stall_share, pct),
      row('start-up', c.startup_s, duration), ['cause', ...c.runs.map((run) => words(run.cause || 'unknown'))],
      ...c.loaders.map((loader) => ['loader ' + (loader.name[0] || loader.name[1]), ...[0, 1].map((i) => (loader.name[i] ? `${num(loader.samples_per_s[i] ?? loader.batches_per_s[i])} /s, ${pct(loader.stall_share[i])}, ${words(loader.cause[i])}` : 'not there'))]),
    ], {class: 'compared'}), c.loaders.map(promise));
}

// What the first run promised of the setting that the second has, beside what came of it.
function promise(loader) {
  const told = loader.predicted;
  if (!told) return null;
  const setting = `num_workers=${told.num_workers}` + (told.prefetch_factor ? `, prefetch_factor=${told.prefetch_factor}` : '');
  if (told.says) return labelled('PREDICT', `${setting}: the first run predicts nothing: ${told.says}`);
  const {mean, lower, upper} = told.throughput_ratio;
  return labelled('PREDICT', `${setting}: from the first run, ${fixed(mean, 2)}x as fast (${fixed(lower, 2)} to ${fixed(upper, 2)})` +
    (known(told.measured_ratio) ? `; measured: ${fixed(told.measured_ratio, 2)}x` : ''));
}

// ---- over time ----

function overTime(run) {
  const levels = run.over_time;
  if (levels.length === 0) return null;
  const place = el('div', {class: 'charts'});
  const shows = (level) => (level.span_s >= 60 ? duration(level.span_s) : level.span_s + ' s');
  const buttons = levels.map((level, i) => el('button', {type: 'button', 'aria-pressed': 'false', onclick: () => choose(i)},
    i === levels.length - 1 ? 'the whole run' : 'the last ' + duration(level.span_s * level.begin_s.length)));
  function choose(i) {
    buttons.forEach((button, k) => button.setAttribute('aria-pressed', String(k === i)));
    place.replaceChildren(...levelCharts(levels[i], `means of ${shows(levels[i])}`));
  }
  choose(levels.length - 1);
  return [el('h2', {}, 'Over time'),
    el('p', {class: 'faint'}, 'Time since the first wait. The older a part of a run is, the coarser its file keeps it; pauses between loops count as time.'),
    el('div', {role: 'group', 'aria-label': 'Which part of the run'}, buttons.reverse()), place];
}

function levelCharts(level, note) {
  const x = level.begin_s;
  const line = (label, values, tone, text, more) => ({label, values, colour: tone, text, ...more});
  const make = (id, title, series, more) => {
    const there = series.filter((one) => one.values && one.values.length > 0);
    return there.length === 0 ? null : chart({id, title, note, x, xText: clock, series: there, ...more});
  };
  const rate = level.samples_per_s.length ? ['samples per second', level.samples_per_s] : ['batches per second', level.batches_per_s];
  return [
    make('shares', level.busy && level.busy.some(known) ? 'Waiting for data, and the GPUs' : 'Waiting for data', [line('waiting for data', level.stall, '--stall', pct, {fill: true}), line('GPU busy', level.busy, '--busy', pct), line('idle otherwise', level.other, '--other', pct, {dash: [4, 4]})], {top: 1}),
    make('rate', 'Throughput', [line(rate[0], rate[1], '--s1', num, {fill: true})]),
    make('tokens', 'Tokens', [line('tokens per second', level.tokens_per_s, '--s3', num, {fill: true})]),
    make('waits', 'Waits', [line('mean', level.wait_mean_ms, '--s1', ms), line('longest', level.wait_max_ms, '--s2', ms, {dash: [4, 4]})]),
    make('memory', 'GPU memory in use', [line('the most of one GPU', level.memory_bytes, '--s4', bytes, {fill: true})]),
    make('power', 'Power', [line('all GPUs together', level.power_w, '--s2', (w) => num(w) + ' W', {fill: true})]),
  ].filter(Boolean);
}

// ---- waits ----

function waits(run) {
  const groups = run.groups.filter((group) => group.steady.length || group.startup.length);
  if (groups.length === 0) return null;
  return [el('h2', {}, 'Waits'), groups.map((group) => {
    const who = known(group.rank) ? `rank ${group.rank}` : `process ${group.pid}`;
    return el('section', {'aria-label': 'Waits of ' + group.name},
      el('h3', {}, group.name + (group.loaders > 1 ? `, in ${group.loaders} processes` : '')),
      el('div', {class: 'charts'}, distribution('How long the waits were' + (group.loaders > 1 ? ', all processes' : ''),
        [{label: 'each batch', bins: group.steady, colour: '--s1'}, {label: 'start-up (iter(), first batches, ends)', bins: group.startup, colour: '--s2'}]), momentCharts(run, group, who)),
      group.slow.length ? [el('h3', {}, 'What went on during the slowest of them'),
        el('p', {class: 'faint'}, `The longest waits of ${who} among the ${count(group.moments.reduce((sum, moment) => sum + moment.waits, 0))} that are kept one by one, evenly over the run. Blue: items being made; violet: collation; grey: made, and not yet taken; orange: the loop waits.`),
        group.slow.map((slow, i) => timeline(slow, i + 1))] : null);
  })];
}

function momentCharts(run, group, who) {
  const moments = group.moments;
  if (moments.length < 2) return null;
  const x = moments.map((moment) => moment.at_s);
  const note = `${who}: of ${moments.length} stretches of up to 64 waits in a row`;
  const made = (title, series, more) => chart({title, note, x, xText: clock, series, ...more});
  const causes = run.cause_names.map((name, i) => ({label: words(name), values: moments.map((moment) => moment.causes[i]), colour: '--k' + i, text: pct}))
    .filter((series) => series.values.some((value) => value > 0.005));
  return [
    made('Waits: quantiles', [{label: 'p50', values: moments.map((m) => m.p50_ms), colour: '--s1', text: ms}, {label: 'p95', values: moments.map((m) => m.p95_ms), colour: '--s2', text: ms}], {id: 'quantiles'}),
    moments.some((moment) => known(moment.ready)) ? made('Batches ready when the loop asked', [{label: known(group.possible) ? `ready, of ${group.possible} that may be` : 'ready', values: moments.map((m) => m.ready), colour: '--s3', text: num, fill: true}], {id: 'ready', top: known(group.possible) ? group.possible : null}) : null,
    causes.length ? made('What the waits were spent on', causes, {id: 'causes', stacked: true, top: 1}) : null,
  ];
}

// ---- loaders ----

function loaders(run) {
  const {summary} = run;
  if (summary.loaders.length === 0) return null;
  const missing = run.counts.loaders - summary.loaders.length;
  return [el('h2', {}, 'Loaders'),
    table('Loaders', [t('loader'), t('rank'), n('workers'), n('batches'), n('samples/s'), n('waiting'), n('p50'), n('p95'), n('p99'), n('longest'), t('cause')],
      summary.loaders.map((loader) => [loader.name, known(loader.rank) ? String(loader.rank) : String(loader.pid), count(loader.num_workers), count(loader.batches), num(loader.samples_per_s),
        pct(loader.waiting_share), ms(loader.wait_ms.p50), ms(loader.wait_ms.p95), ms(loader.wait_ms.p99), ms(loader.wait_ms.max), words(loader.why.primary)])),
    missing > 0 ? el('p', {class: 'faint'}, `${count(missing)} more that waited less are left out; "datastall show --json" has them.`) : null,
    summary.loaders.map((loader) => el('details', {}, el('summary', {}, `${loader.name}${known(loader.rank) ? ', rank ' + loader.rank : ''}: evidence, items, predictions`), loaderDetails(loader)))];
}

function loaderDetails(loader) {
  const items = loader.workers.flatMap((worker) => worker.slowest_items.map((item) => [ms(item.ms), count(item.index), worker.worker === null ? 'the loop' : String(worker.worker)]).filter((row) => row[0] !== 'unknown'));
  const shares = Object.entries(loader.why.shares).filter((pair) => pair[1] > 0.005);
  const order = Object.keys(loader.why.shares);
  return [
    shares.length ? shareBar(shares.map(([name, share]) => ({label: words(name), share, colour: '--k' + order.indexOf(name)}))) : null,
    el('ul', {class: 'plain'}, loader.why.evidence.map((line) => el('li', {}, line))),
    loader.why.suggestion ? labelled('TRY', loader.why.suggestion) : null,
    predicted(loader.predicted),
    loader.slowest_waits.length ? [el('h3', {}, 'Slowest waits'), table('Slowest waits', [n('wait'), n('batch'), t('stage'), n('samples')], loader.slowest_waits.map((wait) => [ms(wait.wait_ms), count(wait.batch_index), wait.stage || '', count(wait.samples)]))] : null,
    items.length ? [el('h3', {}, 'Slowest items'), table('Slowest items', [n('took'), n('index in the data set'), t('worker')], items.sort((a, b) => parseFloat(b[0]) - parseFloat(a[0])))] : null,
    loader.workers.length ? [el('h3', {}, 'Workers'), table('Workers', [t('worker'), n('batches'), n('items'), n('busy'), n('running'), n('waiting for a CPU'), n('blocked'), n('collation'), n('from storage')],
      loader.workers.map((worker) => [worker.worker === null ? 'the loop' : String(worker.worker), count(worker.batches), count(worker.items), pct(worker.busy_share), duration(worker.running_s), duration(worker.cpu_wait_s), duration(worker.items_blocked_s), duration(worker.collate_s), bytes(worker.storage_bytes)]))] : null,
    el('h3', {}, 'All figures'), plain(Object.fromEntries(Object.entries(loader).filter(([key]) => !LOADER_SHOWN.has(key))), 'Figures of ' + loader.name)];
}

function predicted(prediction) {
  if (!prediction) return null;
  if (prediction.says) return labelled('PREDICT', prediction.says);
  const row = (setting, note) => [count(setting.num_workers), setting.prefetch_factor === null ? '\u2013' : count(setting.prefetch_factor), range(setting.samples_per_s, num), range(setting.window_s, duration), pct(setting.stall_share.mean), note];
  return [el('h3', {}, 'Other settings, predicted'), table('Predicted', [n('num_workers'), n('prefetch_factor'), n('samples/s (9 of 10 between)'), n('takes'), n('waits'), t('which')],
    [row(prediction.measured, 'measured'), ...prediction.settings.map((setting, i) => row(setting, i === prediction.best ? 'best' : setting.if_split ? 'if the stream is split' : ''))]),
  prediction.without.length ? table('At most', [t('at most, without'), n('samples/s'), n('takes')], prediction.without.map((part) => [words(part.what), range(part.samples_per_s, num), range(part.window_s, duration)])) : null];
}
const range = (r, text) => (r.lower === r.upper ? text(r.mean) : `${text(r.mean)} (${text(r.lower)} to ${text(r.upper)})`);

// ---- ranks, GPUs, stages, machine ----

function ranks(run) {
  const rows = run.rows.ranks || [];
  if (rows.length < 2) return null;
  const name = (row) => (known(row.rank) ? 'rank ' + row.rank : 'pid ' + row.pid);
  const missing = run.counts.processes - rows.length;
  return [el('h2', {}, 'Ranks'),
    colourRows('Waiting for data, by rank', `a square is ${duration(run.rows.span_s)}; the darker, the more of it was waited`, rows.map((row) => ({label: name(row), percent: row.percent})), run.rows.begin_s, run.rows.span_s, '--stall'),
    el('details', {}, el('summary', {}, 'All ranks'), table('Ranks', [t('rank'), t('machine'), n('stall'), n('samples/s'), t('cause'), t('state')],
      rows.map((row) => [name(row), row.hostname || '', (row.upper_bound ? 'at most ' : '') + pct(row.stall_share), num(row.samples_per_s), words(row.cause || 'unknown'), words(row.state)]))),
    missing > 0 ? el('p', {class: 'faint'}, `${count(missing)} more that stalled less are left out.`) : null];
}

function gpus(run) {
  const {summary} = run;
  if (summary.gpus.length === 0) return summary.gpu_sampling.ended ? [el('h2', {}, 'GPUs'), el('p', {}, 'GPU sampling ended: ' + summary.gpu_sampling.ended)] : null;
  return [el('h2', {}, 'GPUs'),
    summary.gpus.length > 1 ? colourRows('Busy, by GPU', `a square is ${duration(run.rows.span_s)}`, run.rows.gpus.map((row) => ({label: 'GPU ' + row.index, percent: row.percent})), run.rows.begin_s, run.rows.span_s, '--busy') : null,
    table('GPUs', [t('GPU'), t('name'), n('busy'), t('by'), n('waiting for data'), n('idle otherwise'), n('memory, most'), n('power, mean'), n('energy'), n('while stalled')],
      summary.gpus.map((gpu) => [String(gpu.index), gpu.name || '', pct(gpu.busy_share), gpu.busy_source || '', (gpu.upper_bound ? 'at most ' : '') + pct(gpu.input_stall_share), pct(gpu.other_idle_share),
        bytes(gpu.mem_used_peak_bytes), known(gpu.power_w_mean) ? num(gpu.power_w_mean) + ' W' : 'unknown', joules(gpu.energy_j), known(gpu.energy_while_stalled_j.upper) ? `${joules(gpu.energy_while_stalled_j.lower)} to ${joules(gpu.energy_while_stalled_j.upper)}` : 'unknown']))];
}
const joules = (j) => (!known(j) ? 'unknown' : j >= 36000 ? num(j / 3.6e6) + ' kWh' : num(j) + ' J');

function stages(run) {
  const {summary} = run;
  if (summary.stages.length === 0) return null;
  return [el('h2', {}, 'Stages'), table('Stages', [t('stage'), t('rank'), n('time'), n('batches'), n('samples'), n('waiting')],
    summary.stages.map((stage) => [stage.name, String(stage.rank ?? stage.pid), duration(stage.duration_s), count(stage.batches), count(stage.samples), pct(stage.waiting_share)]))];
}

function machine(run) {
  const {summary} = run;
  const host = summary.loaders.length ? summary.loaders[0].why.host : null;
  const rows = summary.processes.map((process) => [String(process.rank ?? process.pid), process.hostname || '', words(process.state), duration(process.window_s), duration(process.paused_s), process.method || '', count(process.lost_records)]);
  return [el('h2', {}, 'The machine and its limits'),
    host ? el('ul', {class: 'plain'},
      el('li', {}, `CPUs that the processes may use: ${num(host.cpus_usable)}${host.cpus_limited_by ? ', set by ' + host.cpus_limited_by : ''}; idle on average: ${num(host.idle_cpus)}`),
      el('li', {}, `the training process itself used ${num(host.loop_cpus)} CPUs`),
      el('li', {}, `held back by the CPU quota: ${duration(host.throttled_s)}`),
      el('li', {}, `some task of the machine waited for a CPU for ${pct(host.cpu_pressure)} of the time, for storage for ${pct(host.io_pressure)}`),
      el('li', {}, `/dev/shm: ${bytes(host.shm_used_bytes)} of ${bytes(host.shm_size_bytes)} in use at the most`)) : null,
    rows.length ? el('details', {}, el('summary', {}, 'Processes'), table('Processes', [t('rank'), t('machine'), t('state'), n('window'), n('no loader iterated'), t('method'), n('waits lost')], rows)) : null];
}

// ---- what has no part of its own ----

function others(summary) {
  return Object.entries(summary).filter(([key, value]) => !SHOWN.has(key) && value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => [el('h2', {}, words(key)[0].toUpperCase() + words(key).slice(1)), plain(value, words(key))]);
}

function plain(value, caption) {
  const text = (x) => (x === null ? 'unknown' : typeof x === 'number' ? count(x) : typeof x === 'object' ? JSON.stringify(x) : String(x));
  if (Array.isArray(value) && value.every((one) => one !== null && typeof one === 'object' && !Array.isArray(one))) {
    const keys = [...new Set(value.flatMap((one) => Object.keys(one)))];
    return table(caption, keys.map((key) => t(words(key))), value.map((one) => keys.map((key) => text(one[key] ?? null))));
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    return table(caption, [t('figure'), t('value')], Object.entries(value).map(([key, one]) => [words(key), Array.isArray(one) && one.length && typeof one[0] === 'object' ? plain(one, key) : text(one)]));
  }
  return el('p', {}, text(value));
}
