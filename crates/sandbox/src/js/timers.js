// Timers, microtasks, clocks, events and cancellation, structuredClone.
(host, shared) => {
  const MAX_DELAY = 2 ** 31 - 1;
  const timers = new Map();
  let lastId = 0;

  const add = (callback, delay, values, repeats) => {
    if (typeof callback !== 'function') throw new TypeError('a timer needs a function');
    let wait = Math.trunc(Number(delay));
    if (!(wait >= 0 && wait <= MAX_DELAY)) wait = wait > MAX_DELAY ? MAX_DELAY : 0;
    if (repeats) wait = Math.max(wait, 1);
    timers.set(++lastId, { callback, values, due: host.now() + wait, wait, repeats });
    return lastId;
  };
  const clear = (id) => { timers.delete(Number(id)); };

  const next = () => {
    let found;
    for (const entry of timers) {
      if (found === undefined || entry[1].due < found[1].due) found = entry;
    }
    return found;
  };

  // Milliseconds until the next timer, or -1 without one.
  shared.hooks.untilTimer = () => {
    const entry = timers.size === 0 ? undefined : next();
    return entry === undefined ? -1 : Math.max(0, entry[1].due - host.now());
  };
  shared.hooks.runTimer = () => {
    const [id, timer] = next();
    if (timer.repeats) timer.due = host.now() + timer.wait;
    else timers.delete(id);
    try {
      timer.callback.apply(globalThis, timer.values);
    } catch (error) {
      shared.log('error', `a timer's function threw: ${shared.describe(error).message}`);
    }
  };

  class Event {
    #type; #cancelled = false; #cancelable;
    constructor(type, { cancelable = false } = {}) { this.#type = String(type); this.#cancelable = Boolean(cancelable); }
    get type() { return this.#type; }
    get defaultPrevented() { return this.#cancelled; }
    preventDefault() { if (this.#cancelable) this.#cancelled = true; }
  }

  class EventTarget {
    #listeners = new Map();
    addEventListener(type, listener, options) {
      if (listener === null || listener === undefined) return;
      const list = this.#listeners.get(type) ?? [];
      if (list.some((each) => each.listener === listener)) return;
      const once = typeof options === 'object' && Boolean(options?.once);
      this.#listeners.set(type, [...list, { listener, once }]);
    }
    removeEventListener(type, listener) {
      const list = this.#listeners.get(type) ?? [];
      this.#listeners.set(type, list.filter((each) => each.listener !== listener));
    }
    dispatchEvent(event) {
      Object.defineProperty(event, 'target', { value: this, configurable: true });
      const handler = this[`on${event.type}`];
      const own = typeof handler === 'function' ? [{ listener: handler }] : [];
      for (const { listener, once } of [...own, ...this.#listeners.get(event.type) ?? []]) {
        if (once) this.removeEventListener(event.type, listener);
        try {
          if (typeof listener === 'function') listener.call(this, event);
          else listener.handleEvent(event);
        } catch (error) {
          shared.log('error', `a listener threw: ${shared.describe(error).message}`);
        }
      }
      return !event.defaultPrevented;
    }
  }

  let makeSignal, abortSignal;
  class AbortSignal extends EventTarget {
    #aborted = false; #reason; #algorithms = new Set();
    onabort = null;
    static #made = false;
    static {
      makeSignal = () => { AbortSignal.#made = true; return new AbortSignal(); };
      abortSignal = (signal, reason) => signal.#abort(reason);
      shared.onAbort = (signal, algorithm) => { signal.#algorithms.add(algorithm); return () => signal.#algorithms.delete(algorithm); };
      shared.isSignal = (value) => typeof value === 'object' && value !== null && #aborted in value;
    }
    constructor() {
      super();
      if (!AbortSignal.#made) throw new TypeError('Illegal constructor');
      AbortSignal.#made = false;
    }
    #abort(reason) {
      if (this.#aborted) return;
      this.#aborted = true;
      this.#reason = reason === undefined ? shared.domError('AbortError', 'the operation was aborted') : reason;
      for (const algorithm of this.#algorithms) algorithm(this.#reason);
      this.#algorithms.clear();
      this.dispatchEvent(new Event('abort'));
    }
    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    throwIfAborted() { if (this.#aborted) throw this.#reason; }
    static abort(reason) { const signal = makeSignal(); signal.#abort(reason); return signal; }
    static timeout(milliseconds) {
      const signal = makeSignal();
      add(() => signal.#abort(shared.domError('TimeoutError', 'the operation timed out')), milliseconds, [], false);
      return signal;
    }
    static any(signals) {
      const signal = makeSignal();
      for (const source of signals) {
        if (source.aborted) { signal.#abort(source.reason); break; }
        source.#algorithms.add((reason) => signal.#abort(reason));
      }
      return signal;
    }
  }

  class AbortController {
    #signal = makeSignal();
    get signal() { return this.#signal; }
    abort(reason) { abortSignal(this.#signal, reason); }
  }

  const cloneError = (what) => shared.domError('DataCloneError', `${what} cannot be cloned`);
  const copyOf = (value, seen) => {
    if (typeof value === 'function' || typeof value === 'symbol') throw cloneError(`a ${typeof value}`);
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (copy) => { seen.set(value, copy); return copy; };
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof Boolean || value instanceof Number || value instanceof String) return keep(Object(value.valueOf()));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (value instanceof DataView) return keep(new DataView(copyOf(value.buffer, seen), value.byteOffset, value.byteLength));
    if (ArrayBuffer.isView(value)) return keep(new value.constructor(copyOf(value.buffer, seen), value.byteOffset, value.length));
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [key, held] of [...value]) copy.set(copyOf(key, seen), copyOf(held, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const held of [...value]) copy.add(copyOf(held, seen));
      return copy;
    }
    if (value instanceof Error) {
      const Type = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }[value.name] ?? Error;
      const copy = keep(new Type(value.message));
      shared.define(copy, { stack: value.stack });
      if ('cause' in value) shared.define(copy, { cause: copyOf(value.cause, seen) });
      return copy;
    }
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) {
      throw cloneError(`a ${value.constructor.name}`);
    }
    const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
    for (const key of Object.keys(value)) copy[key] = copyOf(value[key], seen);
    return copy;
  };

  const now = host.now;
  shared.define(globalThis, {
    setTimeout: (callback, delay, ...values) => add(callback, delay ?? 0, values, false),
    setInterval: (callback, delay, ...values) => add(callback, delay ?? 0, values, true),
    clearTimeout: clear,
    clearInterval: clear,
    queueMicrotask: (callback) => {
      if (typeof callback !== 'function') throw new TypeError('queueMicrotask needs a function');
      Promise.resolve().then(() => callback()).catch((error) => shared.log('error', `a microtask threw: ${shared.describe(error).message}`));
    },
    structuredClone: (value) => copyOf(value, new Map()),
    performance: Object.freeze({ now: () => now(), get timeOrigin() { return Date.now() - now(); } }),
    Event, EventTarget, AbortSignal, AbortController,
  });
  const random = host.random;
  shared.define(Math, { random: () => random() });
}
