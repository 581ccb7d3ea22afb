// Text and bytes: TextEncoder, TextDecoder, atob, btoa.
(host, shared) => {
  const LABELS = {
    'utf-8': 'utf-8', utf8: 'utf-8', 'unicode-1-1-utf-8': 'utf-8',
    'utf-16le': 'utf-16le', 'utf-16': 'utf-16le', ucs2: 'utf-16le',
    'iso-8859-1': 'windows-1252', latin1: 'windows-1252', ascii: 'windows-1252', 'us-ascii': 'windows-1252', 'windows-1252': 'windows-1252',
  };

  class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(text = '') { return host.encode(shared.text(text)); }
    encodeInto(text, target) {
      let read = 0, written = 0;
      for (const character of shared.text(text)) {
        const bytes = host.encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        read += character.length;
        written += bytes.length;
      }
      return { read, written };
    }
  }

  // How many bytes at the end begin a character that the next chunk may complete.
  const unfinished = (encoding, bytes) => {
    if (encoding === 'utf-16le') return bytes.length % 2;
    if (encoding !== 'utf-8') return 0;
    for (let back = 1; back <= Math.min(3, bytes.length); back++) {
      const byte = bytes[bytes.length - back];
      if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
      if (byte < 0x80) return 0;
    }
    return 0;
  };

  class TextDecoder {
    #encoding; #fatal; #ignoreBOM; #held = new Uint8Array(0); #started = false;
    constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
      this.#encoding = LABELS[String(label).trim().toLowerCase()];
      if (this.#encoding === undefined) throw new RangeError(`the encoding "${label}" is not known`);
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input, { stream = false } = {}) {
      let bytes = input === undefined ? new Uint8Array(0) : shared.bytesOf(input);
      if (bytes === undefined) throw new TypeError('decode needs an ArrayBuffer or a view on one');
      if (this.#held.length > 0) {
        const joined = new Uint8Array(this.#held.length + bytes.length);
        joined.set(this.#held);
        joined.set(bytes, this.#held.length);
        bytes = joined;
      }
      const keep = stream ? unfinished(this.#encoding, bytes) : 0;
      this.#held = bytes.slice(bytes.length - keep);
      let text = host.decode(this.#encoding, bytes.subarray(0, bytes.length - keep), this.#fatal);
      if (text === undefined) throw new TypeError('the bytes are not valid text in this encoding');
      if (!this.#started && !this.#ignoreBOM && text.startsWith('\ufeff')) text = text.slice(1);
      this.#started = stream && (this.#started || text.length > 0);
      return text;
    }
  }

  const INVALID = 'InvalidCharacterError';
  shared.define(globalThis, {
    TextEncoder, TextDecoder,
    btoa: (text) => {
      const value = String(text);
      const bytes = new Uint8Array(value.length);
      for (let i = 0; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code > 255) throw shared.domError(INVALID, 'btoa takes characters up to U+00FF; encode others with TextEncoder first');
        bytes[i] = code;
      }
      return host.base64(bytes);
    },
    atob: (text) => {
      const decoded = host.unbase64(shared.text(text));
      if (decoded === undefined) throw shared.domError(INVALID, 'the text is not base64');
      return decoded;
    },
  });
}
