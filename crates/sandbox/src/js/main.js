// How a step begins and ends: its input, its output, and what an error tells its author.
(host, shared) => {
  const { stringify } = JSON;
  const MAX_FRAMES = 5, MAX_MESSAGE = 8_000;
  const HINTS = {
    require: 'code steps have no modules: use the built-in globals, such as fetch and crypto',
    process: 'code steps have no process and no environment: secrets come from credential("KEY")',
    Buffer: 'use Uint8Array, TextEncoder, btoa and atob',
    module: 'code steps have no modules: `return` gives the output',
    exports: 'code steps have no modules: `return` gives the output',
    window: 'code steps run without a browser',
    document: 'code steps run without a browser',
    XMLHttpRequest: 'use fetch',
    WebSocket: 'use fetch',
  };

  // Input is parsed only when the script first looks at it.
  ['trigger', 'steps', 'run', 'item'].forEach((name, index) => {
    const set = (value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
    const get = () => {
      const value = host.part(index + 1);
      set(value);
      return value;
    };
    Object.defineProperty(globalThis, name, { get, set, configurable: true, enumerable: true });
  });

  const frameOf = (line) => {
    const found = /^\s*at (?:(.*) \()?step:(\d+)(?::\d+)?\)?$/.exec(line);
    return found && { name: found[1] === '<anonymous>' ? '' : found[1] ?? '', line: Number(found[2]) };
  };

  const hint = (error) => {
    if (!(error instanceof ReferenceError)) return '';
    const name = /^'?([\w$]+)'? is not defined$/.exec(error.message)?.[1];
    return name && Object.hasOwn(HINTS, name) ? ` (${HINTS[name]})` : '';
  };

  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

  const describeError = (error) => {
    const name = error.name && error.name !== 'Error' && error.code === undefined ? `${error.name}: ` : '';
    const frames = String(error.stack ?? '').split('\n').map(frameOf).filter(Boolean).slice(0, MAX_FRAMES);
    const [first, ...rest] = frames;
    let message = `${name}${String(error.message).slice(0, MAX_MESSAGE)}${hint(error)}`;
    if (first) message += ` (line ${first.line})`;
    for (const { name: caller, line } of rest) message += `\n    at ${caller ? `${caller}, ` : ''}line ${line}`;
    const { code = 'script_error', key = undefined } = shared.codeOf(error) ?? {};
    return { code, message, key: typeof key === 'string' ? key : undefined, line: first?.line };
  };

  shared.describe = (error) => {
    try {
      if (error instanceof Error || (isObject(error) && typeof error.message === 'string')) return describeError(error);
      return { code: 'script_error', message: `threw ${shared.inspect(error)}`.slice(0, MAX_MESSAGE) };
    } catch {
      return { code: 'script_error', message: 'threw something that cannot be shown' };
    }
  };

  // Where not even the error can be made whole, it has another message, or is null.
  const isOutOfMemory = (error) => {
    try {
      return host.wasRefusedMemory() && (error === null || error instanceof InternalError);
    } catch {
      return false;
    }
  };

  const fail = (error) => {
    const outOfMemory = isOutOfMemory(error);
    host.relax();
    const { code, message, key, line } = shared.describe(error);
    if (outOfMemory) {
      const place = line === undefined ? '' : ` (line ${line})`;
      return host.fail('memory_limit', `the code used all of its memory${place}`, undefined, line);
    }
    return host.fail(shared.text(code), shared.text(message), key === undefined ? undefined : shared.text(key), line);
  };

  const toJson = (value) => {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`a ${typeof value} is not JSON`);
    return stringify(value) ?? 'null';
  };

  const start = async (body) => {
    let value;
    try {
      value = await body();
    } catch (error) {
      return fail(error);
    }
    let text;
    try {
      text = toJson(value);
    } catch (error) {
      if (isOutOfMemory(error)) return fail(error);
      const { message } = shared.describe(error);
      return host.fail('script_error', shared.text(`the output is not JSON: ${message}`), undefined, undefined);
    }
    return host.output(text);
  };

  shared.hooks.warmUp = async (body, input) => toJson(await body.call(input));
  shared.hooks.start = start;
  shared.hooks.fail = fail;
}
