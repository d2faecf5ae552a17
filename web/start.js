// SPDX-License-Identifier: Apache-2.0
// The page's data says what kind of page it is.
(() => {
  const page = document.getElementById('page');
  const data = JSON.parse(document.getElementById('data').textContent);
  page.replaceChildren(...(data.kind === 'live' ? live(data) : report(data)).flat(Infinity).filter(Boolean));
  document.documentElement.setAttribute('data-ready', 'yes');
})();
