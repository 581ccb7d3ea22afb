// `credential`: sealed strings at once, or a question to the host that blocks until it is answered.
(host, shared) => {
  let handles;

  const missing = (message, key) => shared.codedError({ code: 'missing_credential', message, key });

  const handle = (key) => {
    if (typeof key !== 'string') throw new TypeError('credential needs a key as a string');
    handles ??= new Map(host.part(5).map((each) => [each.key, each]));
    const found = handles.get(key);
    if (!found) throw missing(`credential "${shared.text(key)}" is missing: there is none of this key that this step may use`, key);
    return found;
  };

  const fieldName = (field) => {
    if (field === undefined || field === null) return undefined;
    if (typeof field !== 'string') throw new TypeError('the field of a credential is a string');
    return shared.text(field);
  };

  const ask = (kind, key, { message, ...details } = {}) => {
    const body = message === undefined ? undefined : shared.bytesOf(message) ?? host.encode(shared.text(message));
    const answer = host.ask(stringify({ kind, key, ...details }), body);
    if (typeof answer === 'string') return answer;
    throw shared.codedError(answer);
  };
  const { stringify } = JSON;

  const credential = (key, field) => {
    const found = handle(key);
    const name = fieldName(field);
    const chosen = name ?? found.main;
    // The fields of a readable one are the plain ones; its secret ones are asked for.
    if (found.readable && !Object.hasOwn(found.fields, chosen ?? '')) return ask('expose', key, { field: name });
    const names = Object.keys(found.fields).join(', ');
    if (chosen === undefined || chosen === null) {
      throw missing(`credential "${key}" has several fields: name one of ${names}`, key);
    }
    if (!Object.hasOwn(found.fields, chosen)) {
      throw missing(`credential "${key}" has no field "${chosen}": it has ${names}`, key);
    }
    return found.fields[chosen];
  };

  const option = (options, name) => {
    const value = options?.[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') throw new TypeError(`the option ${name} is a string`);
    return shared.text(value);
  };

  const bytesOrText = (message) => {
    if (typeof message === 'string' || shared.bytesOf(message)) return message;
    throw new TypeError('the message is a string, an ArrayBuffer or a view on one');
  };

  const hashOptions = (options) => ({
    field: option(options, 'field'), algorithm: option(options, 'algorithm'), encoding: option(options, 'encoding'),
  });

  const json = (value, what) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${what} must be an object`);
    return shared.text(stringify(value));
  };

  shared.define(credential, {
    basic: (key) => { handle(key); return ask('basic', key); },
    base64: (key, field) => { handle(key); return ask('base64', key, { field: fieldName(field) }); },
    hmac: (key, message, options) => {
      handle(key);
      return ask('hmac', key, { message: bytesOrText(message), ...hashOptions(options) });
    },
    jwt: (key, claims, options = {}) => {
      handle(key);
      const life = options.expires_in;
      if (life !== undefined && !(Number.isInteger(life) && life > 0 && life < 2 ** 31)) {
        throw new TypeError('expires_in is a whole number of seconds');
      }
      return ask('jwt', key, {
        field: option(options, 'field'), algorithm: option(options, 'algorithm'), expires_in: life,
        claims: json(claims, 'the claims'), header: options.header === undefined ? undefined : json(options.header, 'the header'),
      });
    },
    verifyHmac: (key, message, signature, options) => {
      handle(key);
      if (typeof signature !== 'string') throw new TypeError('the signature is a string');
      return ask('verify_hmac', key, { message: bytesOrText(message), signature: shared.text(signature), ...hashOptions(options) }) === 'true';
    },
    info: (key) => structuredClone(handle(key).info),
  });
  shared.checkCredential = (key) => { handle(key); };
  shared.define(globalThis, { credential });
}
