// Headers, Request, Response and fetch. A request goes out as one frame; its answer comes back as one.
(host, shared) => {
  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
  const NORMALIZED = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH'];
  const NO_BODY = [101, 103, 204, 205, 304];

  const headerName = (name) => {
    const text = String(name);
    if (!TOKEN.test(text)) throw new TypeError('a header name has characters that are not allowed');
    return text.toLowerCase();
  };
  const headerValue = (value) => {
    const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
    if (/[\0\r\n]/.test(text)) throw new TypeError('a header value holds a line break');
    return shared.text(text);
  };

  class Headers {
    #list = [];
    constructor(init) {
      if (init === undefined || init === null) return;
      if (typeof init !== 'object') throw new TypeError('headers are an object, an array of pairs or Headers');
      const pairs = typeof init[Symbol.iterator] === 'function' ? init : Object.entries(init);
      for (const pair of pairs) {
        const [name, value, ...more] = [...pair];
        if (value === undefined && !Array.isArray(init)) continue;
        if (more.length > 0 || value === undefined) throw new TypeError('each header pair has a name and a value');
        this.append(name, value);
      }
    }
    append(name, value) { this.#list.push([headerName(name), headerValue(value)]); }
    delete(name) { const key = headerName(name); this.#list = this.#list.filter((pair) => pair[0] !== key); }
    get(name) {
      const key = headerName(name);
      const values = this.#list.filter((pair) => pair[0] === key).map((pair) => pair[1]);
      return values.length === 0 ? null : values.join(', ');
    }
    getSetCookie() { return this.#list.filter((pair) => pair[0] === 'set-cookie').map((pair) => pair[1]); }
    has(name) { const key = headerName(name); return this.#list.some((pair) => pair[0] === key); }
    set(name, value) {
      const [key, text] = [headerName(name), headerValue(value)];
      const first = this.#list.findIndex((pair) => pair[0] === key);
      if (first < 0) this.#list.push([key, text]);
      else this.#list = this.#list.filter((pair, i) => i <= first || pair[0] !== key).map((pair, i) => i === first ? [key, text] : pair);
    }
    forEach(callback, self) { for (const [name, value] of this) callback.call(self, value, name, this); }
    *entries() {
      const names = [...new Set(this.#list.map((pair) => pair[0]))].sort();
      for (const name of names) {
        if (name === 'set-cookie') for (const value of this.getSetCookie()) yield [name, value];
        else yield [name, this.get(name)];
      }
    }
    *keys() { for (const pair of this.entries()) yield pair[0]; }
    *values() { for (const pair of this.entries()) yield pair[1]; }
    [Symbol.iterator]() { return this.entries(); }
    [shared.entries]() { return this.entries(); }
    get [Symbol.toStringTag]() { return 'Headers'; }
    static { shared.rawHeaders = (headers) => headers.#list; }
  }

  class FormData {
    #list = [];
    append(name, value) { this.#list.push([shared.text(name), shared.text(value)]); }
    delete(name) { const key = shared.text(name); this.#list = this.#list.filter((pair) => pair[0] !== key); }
    get(name) { return this.getAll(name)[0] ?? null; }
    getAll(name) { const key = shared.text(name); return this.#list.filter((pair) => pair[0] === key).map((pair) => pair[1]); }
    has(name) { return this.getAll(name).length > 0; }
    set(name, value) { this.delete(name); this.append(name, value); }
    *entries() { for (const [name, value] of this.#list) yield [name, value]; }
    *keys() { for (const pair of this.#list) yield pair[0]; }
    *values() { for (const pair of this.#list) yield pair[1]; }
    forEach(callback, self) { for (const [name, value] of this) callback.call(self, value, name, this); }
    [Symbol.iterator]() { return this.entries(); }
    [shared.entries]() { return this.entries(); }
    get [Symbol.toStringTag]() { return 'FormData'; }
  }

  const multipart = (form) => {
    const boundary = `keyward-${crypto.randomUUID()}`;
    const escape = (name) => name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22');
    const parts = [...form].map(([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${escape(name)}"\r\n\r\n${value}\r\n`);
    return { text: `${parts.join('')}--${boundary}--\r\n`, type: `multipart/form-data; boundary=${boundary}` };
  };

  // The bytes of a body and the content type that goes with it.
  const extract = (body) => {
    if (body === undefined || body === null) return { bytes: null, type: null };
    const bytes = shared.bytesOf(body);
    if (bytes) return { bytes: bytes.slice(), type: null };
    if (body instanceof URLSearchParams) return { bytes: host.encode(body.toString()), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
    if (body instanceof FormData) { const { text, type } = multipart(body); return { bytes: host.encode(text), type }; }
    if (typeof body === 'object' && (Object.getPrototypeOf(body) === Object.prototype || Array.isArray(body))) {
      throw new TypeError('a body is text or bytes: send an object with JSON.stringify(...)');
    }
    return { bytes: host.encode(shared.text(body)), type: 'text/plain;charset=UTF-8' };
  };

  class Body {
    #bytes; #used = false;
    static { shared.bodyOf = (owner) => owner.#bytes; shared.useBody = (owner) => owner.#take(); }
    constructor(bytes) { this.#bytes = bytes; }
    #take() {
      if (this.#used) throw new TypeError('the body has been read already');
      this.#used = this.#bytes !== null;
      return this.#bytes ?? new Uint8Array(0);
    }
    get bodyUsed() { return this.#used; }
    async text() { return host.decode('utf-8', this.#take(), false).replace(/^\ufeff/, ''); }
    async json() {
      const text = host.decode('utf-8', this.#take(), false).replace(/^\ufeff/, '');
      return JSON.parse(text);
    }
    async bytes() { return this.#take().slice(); }
    async arrayBuffer() { return this.#take().slice().buffer; }
    async formData() {
      const type = this.headers.get('content-type') ?? '';
      if (!type.startsWith('application/x-www-form-urlencoded')) throw new TypeError('only URL-encoded forms can be read');
      const form = new FormData();
      for (const [name, value] of new URLSearchParams(await this.text())) form.append(name, value);
      return form;
    }
  }

  const own = (init, name) => init?.[name];

  class Request extends Body {
    #url; #method; #headers; #signal; #redirect; #credential;
    constructor(input, init = {}) {
      const from = input instanceof Request ? input : undefined;
      const body = own(init, 'body');
      const extracted = body === undefined && from ? { bytes: shared.bodyOf(from), type: null } : extract(body);
      super(extracted.bytes);
      if (from && body === undefined && extracted.bytes !== null) shared.useBody(from);
      this.#url = from ? from.url : new URL(String(input)).href;
      const method = shared.text(own(init, 'method') ?? from?.method ?? 'GET');
      if (!TOKEN.test(method)) throw new TypeError('the method has characters that are not allowed');
      const upper = method.toUpperCase();
      this.#method = NORMALIZED.includes(upper) ? upper : method;
      if (extracted.bytes !== null && (this.#method === 'GET' || this.#method === 'HEAD')) throw new TypeError(`a ${this.#method} request has no body`);
      this.#headers = new Headers(own(init, 'headers') ?? from?.headers);
      if (extracted.type !== null && !this.#headers.has('content-type')) this.#headers.set('content-type', extracted.type);
      this.#signal = own(init, 'signal') ?? from?.signal ?? null;
      if (this.#signal !== null && !shared.isSignal(this.#signal)) throw new TypeError('signal is an AbortSignal');
      this.#redirect = own(init, 'redirect') ?? from?.redirect ?? 'follow';
      if (!['follow', 'error', 'manual'].includes(this.#redirect)) throw new TypeError('redirect is "follow", "error" or "manual"');
      this.#credential = own(init, 'credential') ?? from?.credential ?? null;
      if (this.#credential !== null) shared.checkCredential(this.#credential);
    }
    get url() { return this.#url; }
    get method() { return this.#method; }
    get headers() { return this.#headers; }
    get signal() { return this.#signal; }
    get redirect() { return this.#redirect; }
    get credential() { return this.#credential; }
    clone() { return new Request(this.#url, { method: this.#method, headers: this.#headers, body: shared.bodyOf(this) ?? undefined, signal: this.#signal, redirect: this.#redirect, credential: this.#credential }); }
  }

  class Response extends Body {
    #status; #statusText; #headers; #url = ''; #redirected = false; #type = 'default';
    constructor(body, init = {}) {
      const { bytes, type } = extract(body);
      super(bytes);
      const status = Number(own(init, 'status') ?? 200);
      if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError('a status is from 200 to 599');
      if (bytes !== null && NO_BODY.includes(status)) throw new TypeError(`a response with status ${status} has no body`);
      this.#status = status;
      this.#statusText = shared.text(own(init, 'statusText') ?? '');
      this.#headers = new Headers(own(init, 'headers'));
      if (type !== null && !this.#headers.has('content-type')) this.#headers.set('content-type', type);
    }
    static {
      shared.answered = (header, buffer) => {
        const response = new Response(buffer.byteLength === 0 ? null : buffer);
        response.#status = header.status;
        response.#statusText = header.status_text;
        response.#url = header.url;
        response.#redirected = header.redirected;
        response.#type = 'basic';
        for (const [name, value] of header.headers) response.#headers.append(name, value);
        return response;
      };
    }
    get status() { return this.#status; }
    get statusText() { return this.#statusText; }
    get ok() { return this.#status >= 200 && this.#status <= 299; }
    get headers() { return this.#headers; }
    get url() { return this.#url; }
    get redirected() { return this.#redirected; }
    get type() { return this.#type; }
    clone() {
      if (this.bodyUsed) throw new TypeError('the body has been read already');
      const copy = new Response(shared.bodyOf(this));
      copy.#status = this.#status; copy.#statusText = this.#statusText; copy.#headers = new Headers(this.#headers);
      copy.#url = this.#url; copy.#redirected = this.#redirected; copy.#type = this.#type;
      return copy;
    }
    static json(data, init = {}) {
      const headers = new Headers(init.headers);
      if (!headers.has('content-type')) headers.set('content-type', 'application/json');
      return new Response(JSON.stringify(data), { ...init, headers });
    }
    static error() { const response = new Response(null); response.#status = 0; response.#type = 'error'; return response; }
    static redirect(url, status = 302) { return new Response(null, { status, headers: { location: new URL(String(url)).href } }); }
  }

  const open = new Map(), queue = [];
  let lastId = 0;

  const send = ({ id, request, body }) => {
    host.fetch(id, request.url, request.method, shared.rawHeaders(request.headers), body, request.credential === null ? undefined : shared.text(request.credential), request.redirect);
  };
  const drain = () => {
    while (queue.length > 0 && open.size < host.fetchesAtOnce()) {
      const waiting = queue.shift();
      open.set(waiting.id, waiting);
      send(waiting);
    }
  };
  const settle = (id) => {
    const found = open.get(id);
    if (found === undefined) return undefined;
    open.delete(id);
    found.release?.();
    drain();
    return found;
  };
  shared.hooks.openFetches = () => open.size;
  shared.hooks.fetched = (id, header, buffer) => { settle(id)?.resolve(shared.answered(header, buffer)); };
  shared.hooks.refused = (id, error) => {
    const found = settle(id);
    if (found === undefined) return;
    const thrown = shared.codedError(error, TypeError);
    shared.define(thrown, { stack: found.stack });
    found.reject(thrown);
  };

  const fetch = (input, init) => new Promise((resolve, reject) => {
    const request = new Request(input, init);
    const body = request.bodyUsed || shared.bodyOf(request) === null ? null : shared.useBody(request);
    if (body !== null && body.length > host.requestBytes()) {
      throw shared.codedError({ code: 'validation_failed', message: `the body of a fetch is at most ${host.requestBytes()} bytes` }, TypeError);
    }
    const id = ++lastId;
    const entry = { id, request, body, resolve, reject, stack: new Error().stack };
    if (request.signal !== null) {
      if (request.signal.aborted) throw request.signal.reason;
      entry.release = shared.onAbort(request.signal, (reason) => {
        const at = queue.indexOf(entry);
        if (at >= 0) queue.splice(at, 1);
        if (open.has(id)) { host.abort(id); settle(id); }
        reject(reason);
      });
    }
    queue.push(entry);
    drain();
  });

  shared.define(globalThis, { Headers, FormData, Request, Response, fetch });
}
