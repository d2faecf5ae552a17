// SPDX-License-Identifier: Apache-2.0
// The report of a job: who made the others wait, over time and by rank.

function jobReport(data) {
  const two = data.jobs.length > 1;
  const name = (job) => 'job ' + (job.summary.job.id || '(without an id)');
  const page = [el('a', {class: 'skip', href: '#verdict-0'}, 'To the verdict')];
  page.push(el('header', {}, el('h1', {}, data.jobs.map(name).join(' and ')),
    el('p', {class: 'faint'}, `A report by datastall ${data.datastall_version}. Every word is explained by 'datastall help jobs'.`)));
  if (two) page.push(jobComparison(data));
  const sections = data.jobs.map((job, i) => el('section', {'aria-label': name(job)}, [jobVerdict(job, i, two, name(job)), jobOverTime(job), jobRanks(job), jobRuns(job)]));
  page.push(two ? el('div', {class: 'runs'}, sections) : sections);
  return page;
}

function jobVerdict(entry, index, two, name) {
  const {job, verdict: says, damage} = entry.summary;
  const parts = [];
  if (known(job.lost_share.mean)) parts.push({label: 'lost to input', share: job.lost_share.mean, colour: '--stall'});
  if (known(job.not_input_s) && job.active_s > 0) parts.push({label: 'lost to ranks that came late for another reason', share: job.not_input_s / job.active_s, colour: '--other'});
  return el('section', {class: 'card', id: 'verdict-' + index, tabindex: '-1'},
    two ? el('h2', {}, (index === 0 ? 'First: ' : 'Second: ') + name) : null,
    el('p', {class: 'faint'}, [`${count(job.ranks)} ranks`, known(job.world_size) && job.world_size > job.ranks ? `of ${count(job.world_size)}` : null, job.nodes === 1 ? 'on 1 machine' : `on ${count(job.nodes)} machines`, `${count(job.steps)} steps`,
      `${duration(job.active_s)} in which loaders were iterated over`].filter(Boolean).join(', ')),
    el('p', {class: 'verdict ' + says.severity}, says.text),
    parts.length ? shareBar(parts) : null,
    entry.throughput_text ? labelled('SPEED', entry.throughput_text) : null,
    known(job.lost_s.mean) ? labelled('LOST', `${range(job.lost_s, duration)} to input; what the ranks stalled by themselves: ${duration(job.mean_stall_s)} on average`) : null,
    job.note ? labelled('NOTE', job.note) : null,
    job.gpu_text ? labelled('GPUS', job.gpu_text) : null,
    known(job.clock_doubt_s) && job.nodes > 1 ? labelled('CLOCKS', `of the machines put together by their batches, to within ${ms(job.clock_doubt_s * 1e3)} a step`) : null,
    damage.problems > 0 ? labelled('DAMAGED', `${count(damage.problems)} problems; the first: ${damage.first_problem}`) : null);
}

function jobComparison(data) {
  const c = data.comparison, unit = c.throughput_unit;
  const row = (label, pair, text) => [label, text(pair[0]), text(pair[1])];
  const changed = c.ranks.filter((rank) => known(rank.lost_share[0]) && known(rank.lost_share[1])).sort((a, b) => Math.abs(b.lost_share[1] - b.lost_share[0]) - Math.abs(a.lost_share[1] - a.lost_share[0])).slice(0, 8);
  return el('section', {class: 'card'}, el('h2', {}, 'The second compared with the first'),
    el('p', {class: 'verdict ' + ({faster: 'none', slower: 'severe'}[c.result] || '')}, data.comparison_text),
    table('Both jobs', [t(''), n('first'), n('second')], [
      row('throughput of all ranks', c.throughput, (x) => `${num(x)} ${unit}`), row('window', c.window_s, duration), row('lost to input', c.lost_share, pct),
      ['lost to ranks that came late', ...[0, 1].map((i) => pct(c.not_input_s[i] === null ? null : c.not_input_s[i] / c.active_s[i]))],
      ...changed.map((rank) => row('rank ' + rank.rank, rank.lost_share, pct))]));
}

// What was lost, and to whom, in spans of the job's time; of what was not recorded nothing is drawn.
function jobOverTime(entry) {
  const {spans, span_s: span} = entry;
  if (!known(span)) return null;
  const x = spans.map((_, i) => i * span);
  // Seconds of the steps that were seen; as a share of the time that they took it would hide how long they were.
  const series = (label, key, tone) => ({label, values: spans.map((one) => one[key]), colour: tone, text: duration, fill: true});
  const whose = [...new Map(spans.filter((one) => one.most !== null && one.most_s > 0).map((one) => [one.most, 0])).keys()];
  const total = (rank) => spans.reduce((sum, one) => sum + (one.most === rank ? one.most_s : 0), 0);
  const shown = whose.sort((a, b) => total(b) - total(a)).slice(0, 16).sort((a, b) => a - b);
  const most = Math.max(...spans.map((one) => one.most_s || 0));
  const rows = shown.map((rank) => ({label: 'rank ' + rank, percent: spans.map((one) => (one.steps === 0 ? null : one.most === rank && most > 0 ? Math.round(100 * one.most_s / most) : 0))}));
  return [el('h2', {}, 'Over time'),
    chart({title: 'Lost in each span', note: `of ${duration(span)}, in the steps that were recorded one by one`, id: 'job-lost', x, xText: clock, series: [series('to input', 'input_s', '--stall'), series('to ranks that came late otherwise', 'not_input_s', '--other')]}),
    rows.length ? colourRows('Who cost most', 'the rank that most of a span\u2019s loss is of; the darker, the more it was', rows, 0, span, '--stall') : null];
}

function jobRanks(entry) {
  const {job} = entry.summary, {ranks} = entry;
  const why = (rank) => job.causes.filter((cause) => cause.rank === rank.rank && cause.why).map((cause) => cause.why).join('; ');
  const missing = entry.rank_count - ranks.length;
  return [el('h2', {}, 'Ranks'),
    table('Ranks', [t('rank'), t('machine'), n('batches'), n('stalled by itself'), n('cost the job by its input'), n('in steps'), n('otherwise'), n('in steps'), t('why')],
      ranks.map((rank) => [String(rank.rank), rank.node || '', count(rank.batches), duration(rank.stall_s), duration(rank.input_s), count(rank.input_last), duration(rank.not_input_s), count(rank.late_last), why(rank)])),
    missing > 0 ? el('p', {class: 'faint'}, `${count(missing)} more that cost less are left out.`) : null];
}

function jobRuns(entry) {
  const {runs} = entry.summary;
  const missing = entry.run_count - runs.length;
  return [el('h2', {}, 'Machines'), el('details', {}, el('summary', {}, `${count(entry.run_count)} runs`),
    table('Runs', [t('run'), t('machine'), n('processes'), t('state'), n('took')], runs.map((run) => [run.id, run.node || '', count(run.processes), words(run.state), duration(run.duration_s)])),
    missing > 0 ? el('p', {class: 'faint'}, `${count(missing)} more are left out.`) : null)];
}
