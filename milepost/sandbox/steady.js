// Runs first in every document of an episode, in the page's own world: chance comes from the episode's seed, and
// every document begins at the episode's instant. So a page that draws or dates something shows the same each time.
(() => {
  const SEED = 0, INSTANT = 0, PAGE_TIME = false;  // set by the harness

  let state = SEED >>> 0;
  Math.random = function random() {  // mulberry32 (Tommy Ettinger, public domain): 32 bits of state are enough here
    state = (state + 0x6D2B79F5) >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 4294967296;
  };

  const Real = Date, real = performance.now.bind(performance), zero = PAGE_TIME ? real() : 0;
  // Page time passes in whole milliseconds; only where a document begins in one is up to the network.
  const elapsed = PAGE_TIME ? () => Math.round(real() - zero) : real;
  const now = () => INSTANT + Math.floor(elapsed());
  Real.now = now;
  window.Date = Real.prototype.constructor = new Proxy(Real, {
    construct: (target, given, by) => Reflect.construct(target, given.length ? given : [now()], by),
    apply: () => new Real(now()).toString(),
  });
  if (PAGE_TIME) {
    Performance.prototype.now = function now() { return elapsed(); };
    const later = window.setTimeout.bind(window), never = window.clearTimeout.bind(window);
    window.requestAnimationFrame = function requestAnimationFrame(call) { return later(() => call(performance.now()), 16); };
    window.cancelAnimationFrame = function cancelAnimationFrame(id) { never(id); };
  }
  Object.defineProperty(Performance.prototype, 'timeOrigin', {get: () => INSTANT, configurable: true, enumerable: true});
})();
