//! Hash slots: CRC16 (XMODEM) of a key's hash tag, modulo 16,384, as Redis Cluster defines them.

/// How many hash slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// The hash slot of `key`.
///
/// ```
/// assert_eq!(fscore_core::slot::of(b"user:{1234}:v1"), fscore_core::slot::of(b"{1234}"));
/// ```
pub fn of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// The hashed part of `key`: the text between the first `{` and the first `}` after it, or the
/// whole key if that is absent or empty.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let inside = &key[open + 1..];
    match memchr::memchr(b'}', inside) {
        None | Some(0) => key,
        Some(close) => &inside[..close],
    }
}

/// CRC16/XMODEM: polynomial 0x1021, initial value 0, nothing reflected.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
    })
}

static TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut byte = 0_u16;
    while byte < 256 {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn hash_tags_follow_the_cluster_specification() {
        assert_eq!(hash_tag(b"{user1000}.following"), b"user1000");
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo{bar}{zap}"), b"bar");
        assert_eq!(hash_tag(b"foo{bar"), b"foo{bar");
        assert_eq!(hash_tag(b""), b"");
    }

    #[test]
    fn known_slots() {
        // As `CLUSTER KEYSLOT` of Redis 7.0 answers.
        assert_eq!(of(b"foo"), 12_182);
        assert_eq!(of(b"bar"), 5_061);
        assert_eq!(of(b"123456789"), 12_739);
    }
}
