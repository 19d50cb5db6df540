//! The form that ssh-keygen writes. See PROTOCOL.key of OpenSSH.

use super::{CURVES, Key, KeyError, Signer};
use crate::agent::wire::Reader;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Reads the key: there is one in each file that is ever written.
pub(super) fn read(bytes: &[u8]) -> Result<Key, KeyError> {
    let mut reader = Reader::new(bytes.strip_prefix(MAGIC).ok_or(KeyError::Damaged)?);
    let cipher = reader.string().ok_or(KeyError::Damaged)?;
    if cipher != b"none" {
        return Err(KeyError::Protected);
    }
    let mut rest = || -> Option<&[u8]> {
        let (_kdf, _options) = (reader.string()?, reader.string()?);
        (reader.number()? == 1).then_some(())?;
        let _public = reader.string()?;
        reader.string()
    };
    let mut private = Reader::new(rest().ok_or(KeyError::Damaged)?);
    // Twice the same number, so that a wrong passphrase shows.
    if private.number().is_none() || private.number().is_none() {
        return Err(KeyError::Damaged);
    }
    let kind = private.string().ok_or(KeyError::Damaged)?;
    let signer = match kind {
        b"ssh-ed25519" => ed25519(&mut private),
        b"ssh-rsa" => rsa(&mut private),
        other => match CURVES.iter().position(|curve| curve.kind.as_bytes() == other) {
            Some(curve) => ecdsa(curve, &mut private),
            None => return Err(KeyError::Kind(format!("`{}`", String::from_utf8_lossy(other)))),
        },
    };
    let key = Key::of(signer.ok_or(KeyError::Damaged)?);
    let comment = private.string().unwrap_or_default();
    Ok(Key { comment: String::from_utf8_lossy(comment).into_owned(), ..key })
}

fn ed25519(private: &mut Reader<'_>) -> Option<Signer> {
    let public = private.string()?;
    let (seed, _) = private.string()?.split_at_checked(32)?;
    Some(Signer::Ed25519(Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?))
}

fn ecdsa(curve: usize, private: &mut Reader<'_>) -> Option<Signer> {
    let (curve, _name) = (&CURVES[curve], private.string()?);
    let (public, secret) = (private.string()?, private.positive()?);
    let mut whole = vec![0; curve.length.checked_sub(secret.len())?];
    whole.extend_from_slice(secret);
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.algorithm, &whole, public, &random);
    Some(Signer::Ecdsa(curve, pair.ok()?))
}

fn rsa(private: &mut Reader<'_>) -> Option<Signer> {
    let mut next = || private.positive();
    let (n, e, d, q_inverse, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let (d_p, d_q) = (remainder(d, &less_one(p)?), remainder(d, &less_one(q)?));
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: &d_p[..],
        dQ: &d_q[..],
        qInv: q_inverse,
    };
    Some(Signer::Rsa(RsaKeyPair::from_components(&components).ok()?))
}

/// An odd number, less one.
fn less_one(number: &[u8]) -> Option<Vec<u8>> {
    let mut less = number.to_vec();
    let last = less.last_mut().filter(|last| **last & 1 == 1)?;
    *last -= 1;
    Some(less)
}

/// What is left of a number by a division, bit after bit: the file does not have what every signature needs,
/// and ring asks for it.
fn remainder(number: &[u8], divisor: &[u8]) -> Vec<u8> {
    // Room for twice what is less than the divisor.
    let mut wide = vec![0];
    wide.extend_from_slice(divisor);
    let mut rest = vec![0; wide.len()];
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            let shifted = *byte << 1 | carry;
            carry = *byte >> 7;
            *byte = shifted;
        }
        if rest >= wide {
            let mut borrow = false;
            for (byte, taken) in rest.iter_mut().zip(&wide).rev() {
                let (once, under) = byte.overflowing_sub(*taken);
                let (twice, below) = once.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (twice, under || below);
            }
        }
    }
    let first = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
    rest.split_off(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_division_leaves_what_it_leaves() {
        for (number, divisor) in
            [(0xffff_ffff_u64, 0xfffe_u64), (12_345_678_901, 97), (5, 7), (7, 7), (1 << 40, 255)]
        {
            let bytes = |number: u64| {
                let all = number.to_be_bytes();
                all[all.iter().position(|byte| *byte != 0).unwrap_or(8)..].to_vec()
            };
            assert_eq!(
                remainder(&bytes(number), &bytes(divisor)),
                bytes(number % divisor),
                "{number} {divisor}"
            );
        }
    }
}
