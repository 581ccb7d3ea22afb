//! The built-in objects, in everyday use.

use crate::helper::{check_outputs, sandbox, step};
use serde_json::json;

#[tokio::test]
async fn has_what_is_promised_and_nothing_else() {
    let promised = "trigger steps run credential fetch console crypto URL URLSearchParams Headers Request Response TextEncoder TextDecoder atob btoa structuredClone setTimeout setInterval clearTimeout clearInterval queueMicrotask AbortController AbortSignal performance";
    let absent = "require process module exports Deno Bun os std Worker WebSocket XMLHttpRequest host shared keyward navigator print scriptArgs bjson";
    let source = format!(
        "const missing = '{promised}'.split(' ').filter((name) => globalThis[name] === undefined);
         const extra = '{absent}'.split(' ').filter((name) => name in globalThis);
         return [missing, extra]"
    );
    let ran = step(&source).run(&sandbox().await).await;
    assert_eq!(ran.output(), json!([[], []]));
}

#[tokio::test]
async fn parses_urls_as_browsers_do() {
    check_outputs(&[
        (
            "const u = new URL('https://User:pw@EXAMPLE.com:443/a/../b c?x=1&y=%20#h');
             return [u.href, u.origin, u.host, u.port, u.pathname, u.search, u.hash, u.username, u.password, u.protocol, `${u}`, JSON.stringify(u)]",
            json!(["https://User:pw@example.com/b%20c?x=1&y=%20#h", "https://example.com", "example.com", "", "/b%20c", "?x=1&y=%20", "#h", "User", "pw", "https:", "https://User:pw@example.com/b%20c?x=1&y=%20#h", "\"https://User:pw@example.com/b%20c?x=1&y=%20#h\""]),
        ),
        ("return new URL('../c?d', 'https://x.y/a/b/').href", json!("https://x.y/a/c?d")),
        ("return new URL('http://0x7f.1/').hostname", json!("127.0.0.1")),
        ("return new URL('https://bücher.example/').hostname", json!("xn--bcher-kva.example")),
        ("return [URL.canParse('nope'), URL.canParse('/x', 'https://a.b'), URL.parse('::')]", json!([false, true, null])),
        ("try { new URL('/x') } catch (error) { return [error.name, error.message] }", json!(["TypeError", "\"/x\" is not a valid URL"])),
        (
            "const u = new URL('https://a.b/?q=1'); u.searchParams.append('r', 'x y&z'); u.searchParams.delete('q'); u.pathname = '/p q'; u.hash = 'f'; u.port = '8443'; u.search += '&s=2'; return [u.href, u.searchParams.get('s'), [...u.searchParams].length]",
            json!(["https://a.b:8443/p%20q?r=x+y%26z&s=2#f", "2", 2]),
        ),
        (
            "const p = new URLSearchParams({ a: 1, b: 'ä +' }); p.append('a', 2); p.set('c', 'd'); p.sort();
             return [p.toString(), p.getAll('a'), p.has('b'), p.has('a', '2'), p.get('none'), p.size, [...p.keys()]]",
            json!(["a=1&a=2&b=%C3%A4+%2B&c=d", ["1", "2"], true, true, null, 4, ["a", "a", "b", "c"]]),
        ),
        ("return Object.fromEntries(new URLSearchParams('?x=%41+b&y'))", json!({"x": "A b", "y": ""})),
        ("return new URLSearchParams([['a', 'b'], ['a', 'c']]).toString()", json!("a=b&a=c")),
    ])
    .await;
}

#[tokio::test]
async fn encodes_and_decodes() {
    check_outputs(&[
        ("return [...new TextEncoder().encode('aä😀\\ud800')]", json!([97, 195, 164, 240, 159, 152, 128, 239, 191, 189])),
        ("return new TextDecoder().decode(new Uint8Array([239, 187, 191, 97, 255]))", json!("a\u{fffd}")),
        ("const d = new TextDecoder(); return [d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), d.decode(new Uint8Array([0xac]))]", json!(["", "€"])),
        ("try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255])) } catch (error) { return error.name }", json!("TypeError")),
        ("return new TextDecoder('utf-16le').decode(new Uint8Array([0x3d, 0xd8, 0x00, 0xde]))", json!("😀")),
        ("return new TextDecoder('latin1').decode(new Uint8Array([0xe4, 0x80]))", json!("ä€")),
        ("return new TextDecoder().decode(new DataView(new Uint8Array([1, 65, 66]).buffer, 1))", json!("AB")),
        ("return [btoa('user:pä'), atob('dXNlcjpw5A=='), atob(' YQ '), btoa('')]", json!(["dXNlcjpw5A==", "user:pä", "a", ""])),
        ("try { btoa('€') } catch (error) { return error.name }", json!("InvalidCharacterError")),
        ("try { atob('a') } catch (error) { return error.name }", json!("InvalidCharacterError")),
        ("return new TextEncoder().encodeInto('aäb', new Uint8Array(3))", json!({"read": 2, "written": 3})),
    ])
    .await;
}

#[tokio::test]
async fn hashes_and_signs() {
    let hex = "const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, '0')).join('');
               const bytes = (text) => new TextEncoder().encode(text);";
    let with = |source: &str| format!("{hex}\n{source}");
    let digests = with(
        "const all = []; for (const name of ['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512']) all.push(hex(await crypto.subtle.digest(name, bytes('abc'))).slice(0, 16)); return all",
    );
    // RFC 4231, test case 2.
    let hmac = with("const key = await crypto.subtle.importKey('raw', bytes('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
                     const sum = await crypto.subtle.sign('HMAC', key, bytes('what do ya want for nothing?'));
                     return [hex(sum), await crypto.subtle.verify('HMAC', key, sum, bytes('what do ya want for nothing?')), await crypto.subtle.verify('HMAC', key, sum, bytes('else'))]");
    let refused = with(
        "try { await crypto.subtle.digest('MD5', bytes('')) } catch (error) { return error.name }",
    );
    check_outputs(&[
        (&digests, json!(["a9993e364706816a", "ba7816bf8f01cfea", "cb00753f45a35e8b", "ddaf35a193617aba"])),
        (&hmac, json!(["5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", true, false])),
        (&refused, json!("NotSupportedError")),
        ("return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())", json!(true)),
        ("const a = crypto.getRandomValues(new Uint32Array(8)); return new Set(a).size > 4", json!(true)),
        ("const all = Array.from({ length: 1000 }, Math.random); return [all.every((n) => n >= 0 && n < 1), new Set(all).size, all.filter((n) => n < 0.5).length > 300]", json!([true, 1000, true])),
    ])
    .await;
}

#[tokio::test]
async fn clones_and_cancels() {
    check_outputs(&[
        (
            "const a = { d: new Date(5), m: new Map([[1, { x: 1 }]]), s: new Set([2]), u: new Uint8Array([3]), e: new RangeError('r'), n: [undefined, , 1] }; a.self = a;
             const b = structuredClone(a);
             return [b !== a, b.self === b, b.d.getTime(), b.m.get(1).x, [...b.s], b.u[0], b.e instanceof RangeError, b.n.length]",
            json!([true, true, 5, 1, [2], 3, true, 3]),
        ),
        ("try { structuredClone(() => {}) } catch (error) { return error.name }", json!("DataCloneError")),
        (
            "const c = new AbortController(); let heard = 0; c.signal.addEventListener('abort', () => heard++, { once: true }); c.signal.onabort = () => heard++;
             c.abort(); c.abort(); return [c.signal.aborted, heard, c.signal.reason.name]",
            json!([true, 2, "AbortError"]),
        ),
        ("const s = AbortSignal.timeout(5); await new Promise((done) => s.addEventListener('abort', done)); return s.reason.name", json!("TimeoutError")),
        ("try { AbortSignal.abort('why').throwIfAborted() } catch (reason) { return reason }", json!("why")),
        ("const c = new AbortController(); const any = AbortSignal.any([c.signal, AbortSignal.timeout(9999)]); c.abort('x'); return any.reason", json!("x")),
        ("try { new AbortSignal() } catch (error) { return error.name }", json!("TypeError")),
    ])
    .await;
}

#[tokio::test]
async fn makes_requests_responses_and_headers() {
    check_outputs(&[
        (
            "const h = new Headers([['B', ' 2 '], ['a', '1']]); h.append('a', '3'); h.set('c', 4); h.append('Set-Cookie', 'x'); h.append('set-cookie', 'y');
             return [[...h], h.get('A'), h.has('b'), h.getSetCookie(), h.get('none')]",
            json!([[["a", "1, 3"], ["b", "2"], ["c", "4"], ["set-cookie", "x"], ["set-cookie", "y"]], "1, 3", true, ["x", "y"], null]),
        ),
        ("try { new Headers({ 'a b': '1' }) } catch (error) { return error.name }", json!("TypeError")),
        ("try { new Headers({ a: '1\\r\\nb: 2' }) } catch (error) { return error.message }", json!("a header value holds a line break")),
        (
            "const r = Response.json({ a: 1 }, { status: 201, headers: { x: 'y' } }); const copy = r.clone();
             return [r.ok, r.status, r.headers.get('content-type'), await r.json(), r.bodyUsed, (await copy.bytes()).length]",
            json!([true, 201, "application/json", {"a": 1}, true, 7]),
        ),
        ("const r = new Response('x'); await r.text(); try { await r.text() } catch (error) { return error.message }", json!("the body has been read already")),
        ("return [...new Uint8Array(await new Response(new Uint8Array([1, 2]).subarray(1)).arrayBuffer())]", json!([2])),
        ("const r = new Request('https://a.b/c?d', { method: 'patch', body: new URLSearchParams({ x: 'y z' }) }); return [r.method, r.url, r.headers.get('content-type'), await r.text()]", json!(["PATCH", "https://a.b/c?d", "application/x-www-form-urlencoded;charset=UTF-8", "x=y+z"])),
        ("try { new Request('https://a.b', { body: 'x' }) } catch (error) { return error.message }", json!("a GET request has no body")),
        ("try { new Request('https://a.b', { method: 'POST', body: { a: 1 } }) } catch (error) { return error.message }", json!("a body is text or bytes: send an object with JSON.stringify(...)")),
        ("const f = new FormData(); f.append('a', '1'); const r = new Request('https://a.b', { method: 'POST', body: f }); return [r.headers.get('content-type').split('=')[0], (await r.text()).includes('name=\"a\"\\r\\n\\r\\n1')]", json!(["multipart/form-data; boundary", true])),
    ])
    .await;
}
