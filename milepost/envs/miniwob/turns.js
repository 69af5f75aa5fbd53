// Runs first in every MiniWoB++ page, in the page's own world, and makes it a game of turns: chance comes from the
// episode's seed, and time passes only when the harness gives the page its turn. So the same seed and actions give
// the same page, however fast the machine or the agent is, and the page's own deadline of ten seconds never falls.
(() => {
  'use strict';
  const START = 1480593600000;  // 1 December 2016, 12:00 UTC: about when the pages' calendars are set
  const FOREVER = 1e12;
  const {seed, mode} = document.currentScript.dataset;

  // ---- time ----
  const later = window.setTimeout.bind(window);
  let now = 0, next = 1;
  const waiting = new Map();
  const wait = (call, delay, every, given) => {
    const id = next++;
    waiting.set(id, {at: now + Math.max(1, Number(delay) || 0), every, call, given});
    return id;
  };
  window.setTimeout = (call, delay, ...given) => wait(call, delay, 0, given);
  window.setInterval = (call, delay, ...given) => wait(call, delay, Math.max(1, Number(delay) || 0), given);
  window.requestAnimationFrame = call => wait(() => call(now), 16, 0, []);
  window.clearTimeout = window.clearInterval = window.cancelAnimationFrame = id => { waiting.delete(id); };
  performance.now = () => now;
  const RealDate = Date;
  RealDate.now = () => START + now;
  window.Date = RealDate.prototype.constructor = new Proxy(RealDate, {
    construct: (target, given, by) => Reflect.construct(target, given.length ? given : [target.now()], by),
    apply: target => new target(target.now()).toString(),
  });
  const firstDue = end => {
    let first = 0;
    for (const [id, {at}] of waiting) if (at <= end && (!first || at < waiting.get(first).at)) first = id;
    return first;
  };
  const pass = async ms => {
    const end = now + ms;
    let calls = 0;
    for (let id; calls < 10000 && (id = firstDue(end)); calls++) {
      const due = waiting.get(id);
      now = Math.max(now, due.at);
      if (due.every) due.at = now + due.every; else waiting.delete(id);
      try {
        if (typeof due.call === 'function') due.call(...due.given); else (0, eval)(due.call);
      } catch (error) { console.error(error); }
      await null;  // promises the call has settled come before the next call, as they would
    }
    now = end;
  };

  // ---- chance: until the episode seeds it, for what a page draws while it loads ----
  let state = Number(seed) >>> 0;
  Math.random = () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 4294967296;
  };

  // ---- what belongs to the benchmark and not to the task ----
  document.head.appendChild(document.createElement('style')).textContent =
    '#reward-display, #click-canvas { display: none } * { transition: none !important; animation: none !important }';

  // ---- the episode ----
  let goal = null, told = false;
  let unborn = null;  // what the page had planned before its first episode: the next timer, and how many were set
  const begin = async (seed, mode) => {
    unborn = unborn || {next, timers: waiting.size};
    Math.seedrandom(Number(seed));
    core.setDataMode(mode);
    core.EPISODE_MAX_TIME = FOREVER;
    core.countdownTimer = () => {};
    core.startEpisodeReal();
    core.startEpisode = () => {};  // after its end the page stays as the agent left it
    document.getElementById('query').setAttribute('aria-hidden', 'true');  // the goal says it
    for (let tries = 0; !WOB_TASK_READY && tries < 500; tries++) await new Promise(done => later(done, 10));
    const said = core.getUtterance();
    goal = typeof said === 'string' ? said : said.utterance;
  };

  window.milepostTurn = async ms => {
    if (goal === null) await begin(seed, mode); else await pass(ms);
    // A page that worked out no number (NaN does not survive the way out) gave nothing.
    const score = WOB_DONE_GLOBAL && !told ? Number(WOB_RAW_REWARD_GLOBAL) || 0 : null;
    told = told || score !== null;
    return {goal, score, reason: WOB_REWARD_REASON || ''};
  };

  // Only a form's reset lets a field forget that it was typed into, so fields without a form are given one for a moment.
  const resetFields = () => {
    const form = document.body.appendChild(Object.assign(document.createElement('form'), {id: 'milepost-form'}));
    const loose = [...document.querySelectorAll('input, textarea, select')].filter(e => !e.form);
    for (const e of loose) e.setAttribute('form', form.id);
    for (const one of document.forms) HTMLFormElement.prototype.reset.call(one);
    for (const e of loose) e.removeAttribute('form');
    form.remove();
  };

  // Another episode in the same document, by the page's own protocol: it draws a new problem over the old one. Null when
  // it cannot start where a new document would: timers of the last episode, or of the loading itself, are still set.
  window.milepostAgain = async (seed, mode) => {
    if (goal === null || unborn.timers) return null;
    document.activeElement.blur();
    getSelection().removeAllRanges();
    for (const id of waiting.keys()) if (id !== core.EP_TIMER) return null;
    for (const e of document.querySelectorAll('*')) if (e.scrollTop || e.scrollLeft) e.scrollTo(0, 0);
    resetFields();
    waiting.clear();
    [now, next, goal, told, WOB_EPISODE_ID] = [0, unborn.next, null, false, 0];
    await begin(seed, mode);
    return {goal, score: null, reason: ''};
  };
})();
