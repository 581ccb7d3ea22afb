//! Signing in to MySQL and MariaDB: the greeting, TLS, and the two ways of proving a password that
//! are in use.

use super::wire::{Reader, Stream, Wire, read_packet};
use super::{Session, refusal};
use crate::bytes::sha256;
use crate::sources::connect::{self, Metered};
use crate::sources::error::Code;
use crate::sources::{SourceError, Target, TlsMode};
use aws_lc_rs::digest;
use keyward_egress::Client as Egress;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// What both sides may do: long flags, a database by name, protocol 4.1, transactions, and ways of
/// signing in by name. Not: reading files of ours, several statements, packets without their ends.
const CAPABILITIES: u32 = 0x1 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x8_0000 | 0x20_0000;
const WITH_DATABASE: u32 = 0x8;
const WITH_TLS: u32 = 0x800;
/// utf8mb4_general_ci.
const CHARACTER_SET: u8 = 45;
const LARGEST_PACKET: u32 = 0x4000_0000;
const NATIVE: &[u8] = b"mysql_native_password";
const CACHING: &[u8] = b"caching_sha2_password";

/// What the server says first.
struct Greeting {
    is_mariadb: bool,
    capabilities: u32,
    challenge: Vec<u8>,
    method: Vec<u8>,
}

pub(super) async fn sign_in(egress: &Egress, target: &Target<'_>) -> Result<Session, SourceError> {
    let (mut stream, meter) = connect::dial(egress, target).await?;
    let (packet, _) = read_packet(&mut stream).await?;
    let greeting = Greeting::parse(&packet)?;
    let encrypted = target.tls != TlsMode::Off;
    let mut wire = if encrypted {
        if greeting.capabilities & WITH_TLS == 0 {
            return Err(SourceError::NoTls);
        }
        stream.write_all(&tls_request(target)).await.map_err(|_| SourceError::Broken)?;
        Wire::new(encrypt(egress, target, stream).await?, 2)
    } else {
        Wire::new(Box::new(stream), 1)
    };
    let password = Password { bytes: target.password.expose(), encrypted };
    wire.send(&response(target, &greeting, &password)?).await?;
    prove(&mut wire, &password).await?;
    Ok(Session { wire, meter, is_mariadb: greeting.is_mariadb })
}

impl Greeting {
    fn parse(packet: &[u8]) -> Result<Self, SourceError> {
        let mut reader = Reader::new(packet);
        match reader.u8()? {
            10 => {}
            0xff => return Err(sign_in_refusal(reader.u16()?)),
            _ => return Err(SourceError::Protocol),
        }
        let version = reader.until_zero()?;
        let is_mariadb = version.windows(7).any(|part| part.eq_ignore_ascii_case(b"mariadb"));
        let _thread = reader.u32()?;
        let mut challenge = reader.take(8)?.to_vec();
        let _filler = reader.u8()?;
        let low = reader.u16()?;
        let _character_set_and_status = reader.take(3)?;
        let high = reader.u16()?;
        let length = reader.u8()?;
        let _reserved = reader.take(10)?;
        // The second part has at least 12 bytes and a zero.
        let rest = reader.take(usize::from(length.saturating_sub(8)).max(13))?;
        challenge.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        let capabilities = u32::from(low) | u32::from(high) << 16;
        let method = reader.until_zero().unwrap_or(NATIVE).to_vec();
        Ok(Self { is_mariadb, capabilities, challenge, method })
    }
}

fn capabilities(target: &Target<'_>) -> u32 {
    let database = if target.database.is_some() { WITH_DATABASE } else { 0 };
    let tls = if target.tls == TlsMode::Off { 0 } else { WITH_TLS };
    CAPABILITIES | database | tls
}

fn head(target: &Target<'_>) -> Vec<u8> {
    let mut head = capabilities(target).to_le_bytes().to_vec();
    head.extend_from_slice(&LARGEST_PACKET.to_le_bytes());
    head.push(CHARACTER_SET);
    head.extend_from_slice(&[0; 23]);
    head
}

/// The head of the response, before anything that is worth hiding, as packet 1.
fn tls_request(target: &Target<'_>) -> Vec<u8> {
    let head = head(target);
    let mut packet = vec![32, 0, 0, 1];
    packet.extend_from_slice(&head);
    packet
}

async fn encrypt(
    egress: &Egress,
    target: &Target<'_>,
    stream: Metered,
) -> Result<Box<dyn Stream>, SourceError> {
    let config = connect::tls_config(egress, target)?;
    let name = ServerName::try_from(connect::server_name(target.host).to_owned())
        .map_err(|_| SourceError::Tls(keyward_egress::Failure::Name))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(handshake.map_err(|error| connect::handshake_error(&error))?))
}

fn response(
    target: &Target<'_>,
    greeting: &Greeting,
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let mut out = Zeroizing::new(head(target));
    out.extend_from_slice(zero_ended(target.username)?);
    out.push(0);
    // A method that is not known here is asked for by name, and the server names another, or fails.
    let method = if greeting.method == CACHING { CACHING } else { NATIVE };
    let proof = password.proof(method, &greeting.challenge).unwrap_or_default();
    super::wire::put_counted(&mut out, &proof);
    if let Some(database) = target.database {
        out.extend_from_slice(zero_ended(database)?);
        out.push(0);
    }
    out.extend_from_slice(method);
    out.push(0);
    Ok(out)
}

/// A zero byte would end the text for the server.
fn zero_ended(text: &str) -> Result<&[u8], SourceError> {
    if text.contains('\0') { Err(SourceError::SignIn) } else { Ok(text.as_bytes()) }
}

/// Answers what the server asks until it is content.
async fn prove(wire: &mut Wire, password: &Password<'_>) -> Result<(), SourceError> {
    // A switch of method, its proof and the password itself are the most that there is to say.
    for _ in 0..4 {
        let packet = wire.receive().await?;
        let mut reader = Reader::new(&packet);
        match (reader.u8()?, reader.rest()) {
            (0x00, _) => return Ok(()),
            (0xff, rest) => return Err(sign_in_refusal(Reader::new(rest).u16()?)),
            (0xfe, rest) => {
                let mut reader = Reader::new(rest);
                let method = reader.until_zero()?;
                let sent = reader.rest();
                let challenge = sent.strip_suffix(&[0]).unwrap_or(sent);
                let proof = password.proof(method, challenge).ok_or(SourceError::SignInMethod)?;
                wire.send(&proof).await?;
            }
            // The proof was right, and the server's word on it follows.
            (0x01, [0x03]) => {}
            (0x01, [0x04]) => wire.send(&password.in_clear()?).await?,
            _ => return Err(SourceError::Protocol),
        }
    }
    Err(SourceError::Protocol)
}

struct Password<'a> {
    bytes: &'a [u8],
    encrypted: bool,
}

impl Password<'_> {
    /// The proof by a method; none where the method is not known.
    fn proof(&self, method: &[u8], challenge: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let known = method == NATIVE || method == CACHING;
        if self.bytes.is_empty() || !known {
            return known.then(Zeroizing::default);
        }
        let challenge = challenge.get(..20).unwrap_or(challenge);
        Some(if method == NATIVE {
            let once = Zeroizing::new(sha1(&[self.bytes]));
            let twice = sha1(&[once.as_slice()]);
            mixed(once.as_slice(), &sha1(&[challenge, &twice]))
        } else {
            let once = Zeroizing::new(sha256(self.bytes));
            let twice = sha256(once.as_slice());
            mixed(once.as_slice(), &sha256(&[&twice, challenge].concat()))
        })
    }

    /// The password itself, which only TLS may carry.
    fn in_clear(&self) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        if !self.encrypted {
            return Err(SourceError::SignInPlain);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(self.bytes.len() + 1));
        out.extend_from_slice(self.bytes);
        out.push(0);
        Ok(out)
    }
}

fn mixed(one: &[u8], other: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(one.iter().zip(other).map(|(one, other)| one ^ other).collect())
}

/// SHA-1, as `mysql_native_password` has it.
fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 20];
    out.copy_from_slice(context.finish().as_ref());
    out
}

fn sign_in_refusal(number: u16) -> SourceError {
    match number {
        1045 | 1698 | 1396 | 1862 | 3118 | 4151 => SourceError::SignIn,
        1044 | 1049 => SourceError::NoDatabase,
        1251 | 1524 => SourceError::SignInMethod,
        number => match refusal(number) {
            SourceError::Refused(_) => SourceError::Unavailable(Code::Number(number)),
            error => error,
        },
    }
}
