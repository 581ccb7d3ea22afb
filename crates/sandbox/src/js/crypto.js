// crypto: random values, digests and HMAC.
(host, shared) => {
  const HASHES = { 'SHA-1': 64, 'SHA-256': 64, 'SHA-384': 128, 'SHA-512': 128 };
  const MAX_RANDOM = 65_536;
  const INTEGER_VIEWS = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];

  const notSupported = (what) => shared.domError('NotSupportedError', `${what} is not supported here: SHA-1, SHA-256, SHA-384, SHA-512 and HMAC with them are`);
  const hashName = (algorithm) => {
    const name = String(typeof algorithm === 'string' ? algorithm : algorithm?.name).toUpperCase();
    if (!Object.hasOwn(HASHES, name)) throw notSupported(`the algorithm "${name}"`);
    return name;
  };
  const bytes = (value) => {
    const found = shared.bytesOf(value);
    if (found === undefined) throw new TypeError('data is an ArrayBuffer or a view on one');
    return found;
  };
  const isHmac = (algorithm) => String(typeof algorithm === 'string' ? algorithm : algorithm?.name).toUpperCase() === 'HMAC';

  let secretOf;
  class CryptoKey {
    #secret; #algorithm; #usages; #extractable;
    static { secretOf = (key) => key.#secret; }
    constructor(secret, hash, extractable, usages) {
      if (!(secret instanceof Uint8Array)) throw new TypeError('Illegal constructor');
      this.#secret = secret; this.#extractable = Boolean(extractable); this.#usages = [...usages];
      this.#algorithm = { name: 'HMAC', hash: { name: hash }, length: secret.length * 8 };
    }
    get type() { return 'secret'; }
    get extractable() { return this.#extractable; }
    get algorithm() { return this.#algorithm; }
    get usages() { return [...this.#usages]; }
  }

  const hmacKey = (algorithm, key, usage) => {
    if (!isHmac(algorithm)) throw notSupported('the algorithm');
    if (!(key instanceof CryptoKey)) throw new TypeError('the key is a CryptoKey');
    if (!key.usages.includes(usage)) throw shared.domError('InvalidAccessError', `the key may not be used to ${usage}`);
    return [key.algorithm.hash.name, secretOf(key)];
  };

  const subtle = {
    async digest(algorithm, data) { return host.digest(hashName(algorithm), bytes(data)).buffer; },
    async importKey(format, data, algorithm, extractable, usages) {
      if (!isHmac(algorithm)) throw notSupported('the algorithm');
      if (format !== 'raw') throw notSupported(`the key format "${format}"`);
      return new CryptoKey(bytes(data).slice(), hashName(algorithm.hash), extractable, usages);
    },
    async generateKey(algorithm, extractable, usages) {
      if (!isHmac(algorithm)) throw notSupported('the algorithm');
      const hash = hashName(algorithm.hash);
      const length = algorithm.length === undefined ? HASHES[hash] : Math.ceil(Number(algorithm.length) / 8);
      return new CryptoKey(host.randomBytes(length), hash, extractable, usages);
    },
    async exportKey(format, key) {
      if (format !== 'raw') throw notSupported(`the key format "${format}"`);
      if (!key.extractable) throw shared.domError('InvalidAccessError', 'the key is not extractable');
      return secretOf(key).slice().buffer;
    },
    async sign(algorithm, key, data) { return host.hmac(...hmacKey(algorithm, key, 'sign'), bytes(data)).buffer; },
    async verify(algorithm, key, signature, data) {
      const expected = host.hmac(...hmacKey(algorithm, key, 'verify'), bytes(data));
      const given = bytes(signature);
      let difference = expected.length ^ given.length;
      for (let i = 0; i < expected.length; i++) difference |= expected[i] ^ given[i % Math.max(1, given.length)];
      return difference === 0;
    },
  };

  const crypto = {
    subtle,
    getRandomValues(view) {
      if (!INTEGER_VIEWS.some((Type) => view instanceof Type)) throw shared.domError('TypeMismatchError', 'getRandomValues takes an integer view');
      if (view.byteLength > MAX_RANDOM) throw shared.domError('QuotaExceededError', `getRandomValues gives at most ${MAX_RANDOM} bytes`);
      shared.bytesOf(view).set(host.randomBytes(view.byteLength));
      return view;
    },
    randomUUID() {
      const random = host.randomBytes(16);
      random[6] = (random[6] & 0x0f) | 0x40;
      random[8] = (random[8] & 0x3f) | 0x80;
      const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
  shared.define(globalThis, { crypto, CryptoKey });
}
