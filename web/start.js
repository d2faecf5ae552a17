// SPDX-License-Identifier: Apache-2.0
// The page's data says what kind of page it is.
(() => {
  const page = document.getElementById('page');
  const data = JSON.parse(document.getElementById('data').textContent);
  const pages = {live, job: jobReport};
  page.replaceChildren(...(pages[data.kind] || report)(data).flat(Infinity).filter(Boolean));
  document.documentElement.setAttribute('data-ready', 'yes');
})();
