// What the other files share: errors, and strings that are safe to hand to the host.
(host, shared) => {
  shared.hooks = {};
  shared.entries = Symbol("entries");
  const wellFormed = String.prototype.toWellFormed;
  const call = Function.prototype.call.bind(Function.prototype.call);

  // A host function takes UTF-8; lone surrogates become U+FFFD, as in WHATWG's USVString.
  shared.text = (value) => call(wellFormed, String(value));

  shared.define = (target, members) => {
    for (const name of Object.keys(members)) {
      Object.defineProperty(target, name, { value: members[name], writable: true, configurable: true, enumerable: false });
    }
  };

  // Which errors are ours: a script that makes up a `.code` of its own ends with `script_error` all the same.
  const coded = new WeakMap();
  const { get, set } = WeakMap.prototype;
  // The code and key of an error that `fetch` or `credential` threw; undefined for all others.
  shared.codeOf = (error) => call(get, coded, error);

  shared.codedError = ({ code, message, key }, ErrorType = Error) => {
    const error = new ErrorType(message);
    call(set, coded, error, { code, key });
    shared.define(error, { code });
    if (key !== undefined && key !== null) shared.define(error, { key });
    return error;
  };

  shared.domError = (name, message) => new DOMException(message, name);

  const viewBuffer = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'buffer').get;
  // The bytes of an ArrayBuffer or of any view on one; undefined for anything else. Not a copy.
  shared.bytesOf = (value) => {
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
    if (!ArrayBuffer.isView(value)) return undefined;
    const buffer = value instanceof DataView ? value.buffer : call(viewBuffer, value);
    return new Uint8Array(buffer, value.byteOffset, value.byteLength);
  };
}
