//! SHA-256 (FIPS 180-4) of up to eight messages side by side, each in a lane of a vector.
//!
//! One message cannot fill a vector, as each of its rounds needs the one before. Eight of them take as long
//! as one, which is what a processor without instructions for SHA-256 has to gain.

use std::array::from_fn;

/// Messages side by side.
pub const LANES: usize = 8;
/// Bytes of a block.
pub const BLOCK: usize = 64;
/// The state before the first block: FIPS 180-4, 5.3.3.
pub const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A message on its way: the state so far, and the blocks that come next.
#[derive(Debug)]
pub struct Message<'a> {
    /// What the blocks before have made of [`START`].
    pub state: [u32; 8],
    /// Whole blocks, the padding among them when its turn comes.
    pub blocks: &'a [[u8; BLOCK]],
}

#[cfg(target_arch = "x86_64")]
type Proof = ();
#[cfg(not(target_arch = "x86_64"))]
type Proof = std::convert::Infallible;

/// A processor that works on lanes; there is none of these where it does not.
#[derive(Clone, Copy, Debug)]
pub struct Lanes(Proof);

impl Lanes {
    /// The lanes of this processor where they gain something: not beside instructions for SHA-256 itself, and
    /// not in a build without optimisation, where each operation on a vector is a call.
    pub fn worthwhile() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("sha") {
            return None;
        }
        if cfg!(debug_assertions) { None } else { Self::available() }
    }

    /// The lanes of this processor.
    #[cfg(target_arch = "x86_64")]
    pub fn available() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        there.then_some(Self(()))
    }

    /// The lanes of this processor.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn available() -> Option<Self> {
        None
    }

    /// Takes as many blocks of each message as the shortest has. Messages after the eighth are left alone.
    pub fn compress(self, messages: &mut [Message<'_>]) {
        let active = messages.len().min(LANES);
        let messages = &mut messages[..active];
        let count = messages.iter().map(|message| message.blocks.len()).min().unwrap_or(0);
        let mut state: [[u32; LANES]; 8] =
            from_fn(|word| from_fn(|lane| messages.get(lane).map_or(0, |message| message.state[word])));
        self.blocks(&mut state, messages, count);
        for (lane, message) in messages.iter_mut().enumerate() {
            message.state = from_fn(|word| state[word][lane]);
            message.blocks = &message.blocks[count..];
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn blocks(self, state: &mut [[u32; LANES]; 8], messages: &[Message<'_>], count: usize) {
        // SAFETY: these lanes exist only where the processor was seen to have AVX-512F and AVX-512VL.
        unsafe { x86::blocks(state, messages, count) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn blocks(self, _: &mut [[u32; LANES]; 8], _: &[Message<'_>], _: usize) {
        match self.0 {}
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Message};
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32 as add, _mm256_ror_epi32 as rotate, _mm256_set1_epi32,
        _mm256_srli_epi32 as shift, _mm256_ternarylogic_epi32 as logic,
    };
    use std::mem::transmute;

    /// Truth tables of three operands: the exclusive or, the choice by the first, the majority.
    const XOR: i32 = 0x96;
    const CHOICE: i32 = 0xca;
    const MAJORITY: i32 = 0xe8;

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes: 4.2.2.
    #[rustfmt::skip]
    const ROUNDS: [[u32; 16]; 4] = [
        [
            0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
            0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        ],
        [
            0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
            0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        ],
        [
            0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
            0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        ],
        [
            0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
            0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
        ],
    ];

    /// Takes `count` blocks of each message; the state's words are vectors with a lane for each of them.
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(super) fn blocks(state: &mut [[u32; LANES]; 8], messages: &[Message<'_>], count: usize) {
        // SAFETY: both are 256 bytes in which every value is valid.
        let mut vectors: [__m256i; 8] = unsafe { transmute(*state) };
        let mut words = [[0; LANES]; 16];
        for block in 0..count {
            for (lane, message) in messages.iter().enumerate() {
                let bytes = message.blocks[block].as_chunks().0;
                for (word, bytes) in words.iter_mut().zip(bytes) {
                    word[lane] = u32::from_be_bytes(*bytes);
                }
            }
            // SAFETY: both are 512 bytes in which every value is valid.
            compress(&mut vectors, unsafe { transmute::<[[u32; LANES]; 16], [__m256i; 16]>(words) });
        }
        // SAFETY: both are 256 bytes in which every value is valid.
        *state = unsafe { transmute::<[__m256i; 8], [[u32; LANES]; 8]>(vectors) };
    }

    /// One block of each message: 6.2.2.
    #[target_feature(enable = "avx512f,avx512vl")]
    fn compress(state: &mut [__m256i; 8], mut words: [__m256i; 16]) {
        let before = *state;
        sixteen::<false>(state, &mut words, &ROUNDS[0]);
        for constants in &ROUNDS[1..] {
            sixteen::<true>(state, &mut words, constants);
        }
        for (word, before) in state.iter_mut().zip(before) {
            *word = add(*word, before);
        }
    }

    /// Sixteen rounds; with `SCHEDULE`, each puts the word it takes in place of the one sixteen before. They
    /// are written out, as neither words nor state may leave the registers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn sixteen<const SCHEDULE: bool>(
        state: &mut [__m256i; 8],
        words: &mut [__m256i; 16],
        constants: &[u32; 16],
    ) {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        macro_rules! round {
            ($index:literal, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                if SCHEDULE {
                    words[$index] = scheduled([
                        words[$index],
                        words[($index + 1) % 16],
                        words[($index + 9) % 16],
                        words[($index + 14) % 16],
                    ]);
                }
                let known = add(add($h, words[$index]), _mm256_set1_epi32(constants[$index].cast_signed()));
                let of_e = logic::<XOR>(rotate::<6>($e), rotate::<11>($e), rotate::<25>($e));
                let first = add(add(known, logic::<CHOICE>($e, $f, $g)), of_e);
                let of_a = logic::<XOR>(rotate::<2>($a), rotate::<13>($a), rotate::<22>($a));
                $d = add($d, first);
                $h = add(first, add(of_a, logic::<MAJORITY>($a, $b, $c)));
            };
        }
        macro_rules! eight {
            ($i0:literal $i1:literal $i2:literal $i3:literal $i4:literal $i5:literal $i6:literal $i7:literal) => {
                round!($i0, a b c d e f g h);
                round!($i1, h a b c d e f g);
                round!($i2, g h a b c d e f);
                round!($i3, f g h a b c d e);
                round!($i4, e f g h a b c d);
                round!($i5, d e f g h a b c);
                round!($i6, c d e f g h a b);
                round!($i7, b c d e f g h a);
            };
        }
        eight!(0 1 2 3 4 5 6 7);
        eight!(8 9 10 11 12 13 14 15);
        *state = [a, b, c, d, e, f, g, h];
    }

    /// The word after the ones that are sixteen, fifteen, seven and two before it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn scheduled([sixteenth, early, seventh, late]: [__m256i; 4]) -> __m256i {
        let early = logic::<XOR>(rotate::<7>(early), rotate::<18>(early), shift::<3>(early));
        let late = logic::<XOR>(rotate::<17>(late), rotate::<19>(late), shift::<10>(late));
        add(add(sixteenth, seventh), add(early, late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(message: &[u8]) -> Vec<[u8; BLOCK]> {
        let mut bytes = message.to_vec();
        bytes.push(0x80);
        bytes.resize((bytes.len() + 8).next_multiple_of(BLOCK) - 8, 0);
        bytes.extend((message.len() as u64 * 8).to_be_bytes());
        bytes.as_chunks().0.to_vec()
    }

    fn hex(state: [u32; 8]) -> String {
        state.map(|word| format!("{word:08x}")).concat()
    }

    /// The vectors of NIST's "Examples with intermediate values", and the empty message.
    #[test]
    fn messages_of_different_lengths_do_not_disturb_each_other() {
        let Some(lanes) = Lanes::available() else { return };
        let examples: [(&[u8], &str); 4] = [
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (
                b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
            ),
        ];
        // Each example in each lane, beside all the others.
        for turn in 0..LANES {
            let taken: [_; LANES] = from_fn(|lane| examples[(lane + turn) % examples.len()]);
            let blocks = taken.map(|(message, _)| padded(message));
            let mut states = [START; LANES];
            let mut left: Vec<usize> = (0..LANES).collect();
            let mut rest = blocks.each_ref().map(Vec::as_slice);
            while !left.is_empty() {
                let mut messages: Vec<Message<'_>> =
                    left.iter().map(|&lane| Message { state: states[lane], blocks: rest[lane] }).collect();
                lanes.compress(&mut messages);
                for (&lane, message) in left.iter().zip(messages) {
                    (states[lane], rest[lane]) = (message.state, message.blocks);
                }
                left.retain(|&lane| !rest[lane].is_empty());
            }
            assert_eq!(states.map(hex), taken.map(|(_, digest)| digest.to_owned()));
        }
    }

    #[test]
    fn a_million_letters_have_the_published_digest_in_each_lane() {
        let Some(lanes) = Lanes::available() else { return };
        let blocks = padded(&vec![b'a'; 1_000_000]);
        let mut messages: [_; LANES] = from_fn(|_| Message { state: START, blocks: &blocks });
        lanes.compress(&mut messages);
        for message in messages {
            let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
            assert_eq!(hex(message.state), expected);
        }
    }
}
