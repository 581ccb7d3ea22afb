// `console`: values printed so that a person can read them.
(host, shared) => {
  const MAX_DEPTH = 4, MAX_ITEMS = 100, MAX_WIDTH = 76, MAX_TEXT = 10_000;
  const isName = /^[A-Za-z_$][\w$]*$/;

  const quote = (text) => {
    const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
    const json = JSON.stringify(cut);
    return cut.includes("'") ? json : `'${json.slice(1, -1).replaceAll('\\"', '"')}'`;
  };

  const errorText = (error) => {
    const described = shared.describe(error);
    return described.message;
  };

  const layout = (open, parts, close, indent) => {
    if (parts.length === 0) return open + close;
    const line = `${open} ${parts.join(', ')} ${close}`;
    if (line.length + indent.length <= MAX_WIDTH && !line.includes('\n')) return line;
    const inner = `${indent}  `;
    return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
  };

  const listed = (values, show) => {
    const parts = [];
    let count = 0;
    for (const value of values) {
      if (count++ >= MAX_ITEMS) { parts.push('...'); break; }
      parts.push(show(value));
    }
    return parts;
  };

  const members = (value, show) => listed(Object.keys(value), (key) => {
    const name = isName.test(key) ? key : quote(key);
    const { get, value: held } = Object.getOwnPropertyDescriptor(value, key) ?? {};
    return `${name}: ${get ? '[Getter]' : show(held)}`;
  });

  const inspectObject = (value, depth, seen, indent) => {
    if (seen.includes(value)) return '[Circular]';
    if (typeof value === 'function') return value.name ? `[Function: ${value.name}]` : '[Function]';
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Error) return errorText(value);
    if (typeof URL === 'function' && value instanceof URL) return value.href;
    if (value instanceof Promise) return 'Promise {}';
    const isArray = Array.isArray(value);
    const name = isArray ? '' : value.constructor?.name ?? '';
    const prefix = isArray || name === 'Object' || name === '' ? '' : `${name} `;
    if (depth >= MAX_DEPTH) return isArray ? '[Array]' : `[${name || 'Object'}]`;
    const inner = (held) => inspect(held, depth + 1, [...seen, value], `${indent}  `);
    if (isArray) return layout('[', listed(value, inner), ']', indent);
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return layout(`${name}(${value.length}) [`, listed(value, inner), ']', indent);
    }
    if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
    if (value instanceof Map) {
      const pairs = listed(value, ([key, held]) => `${inner(key)} => ${inner(held)}`);
      return layout(`Map(${value.size}) {`, pairs, '}', indent);
    }
    if (value instanceof Set) return layout(`Set(${value.size}) {`, listed(value, inner), '}', indent);
    if (typeof value[shared.entries] === 'function') {
      const pairs = listed(value[shared.entries](), ([key, held]) => `${quote(key)}: ${quote(held)}`);
      return layout(`${prefix}{`, pairs, '}', indent);
    }
    return layout(`${prefix}{`, members(value, inner), '}', indent);
  };

  const inspect = (value, depth = 0, seen = [], indent = '') => {
    switch (typeof value) {
      case 'string': return quote(value);
      case 'bigint': return `${value}n`;
      case 'number': return Object.is(value, -0) ? '-0' : String(value);
      case 'object': case 'function':
        if (value === null) return 'null';
        try {
          return inspectObject(value, depth, seen, indent);
        } catch {
          return '[object that cannot be shown]';
        }
      default: return String(value);
    }
  };

  const shown = (value) => typeof value === 'string' ? value : inspect(value);

  const format = (values) => {
    if (typeof values[0] !== 'string' || values.length === 1) return values.map(shown).join(' ');
    const rest = values.slice(1);
    const first = values[0].replace(/%[sdifjoO%]/g, (mark) => {
      if (mark === '%%') return '%';
      if (rest.length === 0) return mark;
      const value = rest.shift();
      switch (mark) {
        case '%s': return shown(value);
        case '%d': case '%f': return String(Number(value));
        case '%i': return String(Math.trunc(Number(value)));
        case '%j': return String(JSON.stringify(value));
        default: return inspect(value);
      }
    });
    return [first, ...rest.map(shown)].join(' ');
  };

  const log = (level) => (...values) => host.log(level, shared.text(format(values)));
  const timers = new Map(), counts = new Map();
  const console = {
    log: log('info'), info: log('info'), debug: log('debug'), trace: log('debug'),
    warn: log('warn'), error: log('error'), dir: (value) => host.log('info', shared.text(inspect(value))),
    table: (value) => host.log('info', shared.text(inspect(value))),
    group: log('info'), groupEnd: () => {},
    assert: (condition, ...values) => { if (!condition) log('error')('Assertion failed', ...values); },
    count: (label = 'default') => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      host.log('info', shared.text(`${label}: ${counts.get(label)}`));
    },
    time: (label = 'default') => { timers.set(label, host.now()); },
    timeEnd: (label = 'default') => {
      if (timers.has(label)) host.log('info', shared.text(`${label}: ${host.now() - timers.get(label)} ms`));
      timers.delete(label);
    },
  };
  shared.inspect = inspect;
  shared.log = (level, message) => host.log(level, shared.text(message));
  shared.define(globalThis, { console });
}
