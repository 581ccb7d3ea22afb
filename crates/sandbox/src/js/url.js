// URL and URLSearchParams; the host parses.
(host, shared) => {
  const PARTS = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'];
  let linkQuery;

  const pairsOf = (init) => {
    if (init === undefined || init === null) return [];
    if (typeof init !== 'object' && typeof init !== 'function') {
      const text = shared.text(init);
      return host.parseForm(text.startsWith('?') ? text.slice(1) : text);
    }
    if (typeof init[Symbol.iterator] !== 'function') {
      return Object.keys(init).map((name) => [shared.text(name), shared.text(init[name])]);
    }
    return Array.from(init, (pair) => {
      const [name, value, ...more] = [...pair];
      if (value === undefined || more.length > 0) throw new TypeError('each query pair has a name and a value');
      return [shared.text(name), shared.text(value)];
    });
  };

  class URLSearchParams {
    #pairs; #url = null;
    static {
      linkQuery = (params, url) => { params.#url = url; return (text) => { params.#pairs = pairsOf(text); }; };
    }
    constructor(init = '') { this.#pairs = pairsOf(init); }
    #changed() { this.#url?.(this.toString()); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([shared.text(name), shared.text(value)]); this.#changed(); }
    delete(name, value) {
      const [key, only] = [shared.text(name), value === undefined ? undefined : shared.text(value)];
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || (only !== undefined && pair[1] !== only));
      this.#changed();
    }
    get(name) { const key = shared.text(name); return this.#pairs.find((pair) => pair[0] === key)?.[1] ?? null; }
    getAll(name) { const key = shared.text(name); return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]); }
    has(name, value) {
      const key = shared.text(name);
      return this.#pairs.some((pair) => pair[0] === key && (value === undefined || pair[1] === shared.text(value)));
    }
    set(name, value) {
      const [key, text] = [shared.text(name), shared.text(value)];
      const first = this.#pairs.findIndex((pair) => pair[0] === key);
      if (first < 0) this.#pairs.push([key, text]);
      else this.#pairs = this.#pairs.filter((pair, i) => i <= first || pair[0] !== key).map((pair, i) => i === first ? [key, text] : pair);
      this.#changed();
    }
    sort() { this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)); this.#changed(); }
    toString() { return host.formatForm(this.#pairs); }
    forEach(callback, self) { for (const [name, value] of this) callback.call(self, value, name, this); }
    *keys() { for (const pair of this.#pairs) yield pair[0]; }
    *values() { for (const pair of this.#pairs) yield pair[1]; }
    *entries() { for (const [name, value] of this.#pairs) yield [name, value]; }
    [Symbol.iterator]() { return this.entries(); }
    [shared.entries]() { return this.entries(); }
    get [Symbol.toStringTag]() { return 'URLSearchParams'; }
  }

  const parse = (url, base) => {
    const parts = host.parseUrl(shared.text(url), base === undefined ? undefined : shared.text(base));
    if (parts === undefined) throw new TypeError(`"${shared.text(url).slice(0, 200)}" is not a valid URL`);
    return parts;
  };

  class URL {
    #parts; #query = null; #reparse;
    constructor(url, base) { this.#parts = parse(url, base); }
    static canParse(url, base) { return host.parseUrl(shared.text(url), base === undefined ? undefined : shared.text(base)) !== undefined; }
    static parse(url, base) { return URL.canParse(url, base) ? new URL(url, base) : null; }
    get searchParams() {
      if (this.#query === null) {
        this.#query = new URLSearchParams(this.search);
        this.#reparse = linkQuery(this.#query, (text) => this.#assign('search', text, false));
      }
      return this.#query;
    }
    #assign(name, value, reparse) {
      this.#parts = host.setUrl(this.#parts[0], name, shared.text(value)) ?? this.#parts;
      if (reparse && this.#query !== null) this.#reparse(this.search);
    }
    toString() { return this.#parts[0]; }
    toJSON() { return this.#parts[0]; }
    get [Symbol.toStringTag]() { return 'URL'; }
    static {
      PARTS.forEach((name, index) => {
        const get = function () { return this.#parts[index]; };
        const set = name === 'origin' ? undefined : function (value) {
          if (name === 'href') this.#parts = parse(value);
          else this.#assign(name, value, false);
          if (this.#query !== null && (name === 'href' || name === 'search')) this.#reparse(this.search);
        };
        Object.defineProperty(URL.prototype, name, { get, set, enumerable: true, configurable: true });
      });
    }
  }
  shared.define(globalThis, { URL, URLSearchParams });
}
