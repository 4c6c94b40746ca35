//! Cutting a line into what stays and what varies: runs of digits, and words of hexadecimal digits.

/// Stands for a slot in a template's key. None of these bytes occurs in UTF-8.
pub(crate) const SLOT_DIGITS: u8 = 0xF8;
pub(crate) const SLOT_HEX_LOWER: u8 = 0xF9;
pub(crate) const SLOT_HEX_UPPER: u8 = 0xFA;

/// Longer runs of digits are cut, so that each fits 64 bits.
pub(crate) const DIGITS_MAX: usize = 19;
/// Shorter words are not taken for hexadecimal numbers.
const HEX_MIN: usize = 4;
/// Longer words are not taken for hexadecimal numbers.
pub(crate) const HEX_MAX: usize = 64;

/// A varying piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u8,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

pub(crate) fn is_slot(byte: u8) -> bool {
    (SLOT_DIGITS..=SLOT_HEX_UPPER).contains(&byte)
}

/// Whether a slot of a kind can hold a byte.
pub(crate) fn slot_takes(slot: u8, byte: u8) -> bool {
    match slot {
        SLOT_DIGITS => byte.is_ascii_digit(),
        SLOT_HEX_LOWER => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        _ => byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte),
    }
}

/// What a byte can be in a word; 0 for what stands between words.
const DIGIT: u8 = 1;
const HEX_LOWER: u8 = 2;
const HEX_UPPER: u8 = 4;
const LETTER: u8 = 8;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => HEX_LOWER,
            b'A'..=b'F' => HEX_UPPER,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

/// Replaces `tokens` by the line's and `key` by its template's key: the line with a marker in place of each token.
pub(crate) fn tokenize(line: &[u8], tokens: &mut Vec<Token>, key: &mut Vec<u8>) {
    tokens.clear();
    key.clear();
    let mut at = 0;
    let mut copied = 0;
    // Words without digits hold no token: they are passed over eight bytes at a time.
    while let Some(digit) = next_digit(line, at) {
        let (mut start, mut end) = (digit, digit + 1);
        let mut classes = DIGIT;
        while start > at && CLASSES[usize::from(line[start - 1])] != 0 {
            start -= 1;
            classes |= CLASSES[usize::from(line[start])];
        }
        while end < line.len() && CLASSES[usize::from(line[end])] != 0 {
            classes |= CLASSES[usize::from(line[end])];
            end += 1;
        }
        at = end;
        let first = tokens.len();
        match hex_slot(end - start, classes) {
            Some(slot) => tokens.push(Token { slot, start: start as u32, end: end as u32 }),
            None => push_digits(&line[digit..end], digit, tokens),
        }
        for token in &tokens[first..] {
            key.extend_from_slice(&line[copied..token.start as usize]);
            key.push(token.slot);
            copied = token.end as usize;
        }
    }
    key.extend_from_slice(&line[copied..]);
}

/// The first digit at or after `from`.
fn next_digit(line: &[u8], from: usize) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    while let Some(chunk) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        // A digit differs from '0' by less than ten: adding 0x76 then leaves the highest bit of its byte clear.
        let distance = u64::from_le_bytes(*chunk) ^ (EACH * 0x30);
        let others = ((distance & (EACH * 0x7f)) + EACH * 0x76) | distance;
        let digits = !others & (EACH * 0x80);
        if digits != 0 {
            return Some(at + digits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    (at..line.len()).find(|at| line[*at].is_ascii_digit())
}

/// The slot for a word with digits and these classes of bytes, if it is a hexadecimal number with letters.
fn hex_slot(len: usize, classes: u8) -> Option<u8> {
    if !(HEX_MIN..=HEX_MAX).contains(&len) {
        return None;
    }
    match classes {
        c if c == DIGIT | HEX_LOWER => Some(SLOT_HEX_LOWER),
        c if c == DIGIT | HEX_UPPER => Some(SLOT_HEX_UPPER),
        _ => None,
    }
}

fn push_digits(word: &[u8], offset: usize, tokens: &mut Vec<Token>) {
    let mut at = 0;
    while at < word.len() {
        if !word[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < word.len() && word[at].is_ascii_digit() && at - start < DIGITS_MAX {
            at += 1;
        }
        let (start, end) = ((offset + start) as u32, (offset + at) as u32);
        tokens.push(Token { slot: SLOT_DIGITS, start, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hexadecimal_words_become_slots() {
        for (line, expected, slots) in [
            ("", "", ""),
            ("no numbers", "no numbers", ""),
            ("GET /a/12 200", "GET /a/# #", "12 200"),
            ("blk_-007x5", "blk_-#x#", "007 5"),
            ("trace 4bf92f3577b34da6", "trace h", "4bf92f3577b34da6"),
            ("0xDEAD01 dead beef", "#xDEAD# dead beef", "0 01"),
            ("id=DEAD01", "id=H", "DEAD01"),
            ("a1f", "a#f", "1"),
            ("12345678901234567890123", "##", "1234567890123456789 0123"),
            ("ü1ü", "ü#ü", "1"),
        ] {
            let (mut tokens, mut key) = (Vec::new(), Vec::new());
            tokenize(line.as_bytes(), &mut tokens, &mut key);
            let shown: Vec<u8> = key
                .iter()
                .map(|byte| match *byte {
                    SLOT_DIGITS => b'#',
                    SLOT_HEX_LOWER => b'h',
                    SLOT_HEX_UPPER => b'H',
                    other => other,
                })
                .collect();
            let texts: Vec<&str> = tokens.iter().map(|t| &line[t.start as usize..t.end as usize]).collect();
            assert_eq!(
                (String::from_utf8(shown).unwrap().as_str(), texts.join(" ").as_str()),
                (expected, slots),
                "{line}"
            );
        }
    }
}
