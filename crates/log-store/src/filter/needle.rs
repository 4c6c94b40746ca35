//! A literal that is looked for, against templates and the slots in them.

use memchr::memmem::Finder;

use crate::block::lines::{DIGITS_MAX, SlotTest, is_slot, slot_takes};

/// A literal and what can be told from it.
#[derive(Debug)]
pub(crate) struct Needle {
    text: Vec<u8>,
    finder: Box<Finder<'static>>,
    /// Its longest piece of bytes that no slot holds.
    fixed: Option<Box<Finder<'static>>>,
    anchor: Option<Anchor>,
}

/// The longest run of digits: digits stand in slots only.
#[derive(Debug)]
struct Anchor {
    digits: Vec<u8>,
    open_before: bool,
    open_after: bool,
    /// The word around the digits, where it may be hexadecimal.
    word: Option<Vec<u8>>,
}

/// What a template says of a needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No line of the template contains it.
    Never,
    /// A line may contain it.
    Maybe,
    /// Every line contains it.
    Always,
}

impl Needle {
    pub(crate) fn new(text: &[u8]) -> Self {
        let longest = text.split(u8::is_ascii_hexdigit).max_by_key(|piece| piece.len());
        let fixed = longest.filter(|piece| !piece.is_empty());
        Self {
            text: text.to_vec(),
            finder: Box::new(Finder::new(text).into_owned()),
            fixed: fixed.map(|piece| Box::new(Finder::new(piece).into_owned())),
            anchor: Anchor::of(text),
        }
    }

    /// What a template's key says.
    pub(crate) fn verdict(&self, key: &[u8]) -> Verdict {
        // A slot's marker occurs in no text, so what is found lies within constant text.
        if self.finder.find(key).is_some() {
            return Verdict::Always;
        }
        if self.fixed.as_ref().is_some_and(|fixed| fixed.find(key).is_none()) {
            return Verdict::Never;
        }
        if fits(key, &self.text) { Verdict::Maybe } else { Verdict::Never }
    }

    /// What one of the slots of a line that contains the needle has to pass, where that can be told.
    pub(crate) fn slot_test(&self) -> Option<SlotTest<'_>> {
        let anchor = self.anchor.as_ref()?;
        let word = anchor.word.as_deref();
        Some(SlotTest::new(&anchor.digits, anchor.open_before, anchor.open_after, word))
    }
}

impl Anchor {
    fn of(text: &[u8]) -> Option<Self> {
        let run_at = |start: usize| text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let starts = (0..text.len()).filter(|at| *at == 0 || !text[at - 1].is_ascii_digit());
        let start = starts.max_by_key(|start| run_at(*start))?;
        let end = start + run_at(start);
        if end == start || end - start > DIGITS_MAX {
            return None;
        }
        let word_start =
            text[..start].iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let word_len = text[end..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let word = &text[word_start..end + word_len];
        let hex = |slot: u8| word.iter().all(|byte| slot_takes(slot, *byte));
        let closed = word_start > 0 && end + word_len < text.len();
        let only_digits = word.len() == end - start;
        let may_be_hex = (crate::block::lines::SLOT_DIGITS + 1..=0xFF).filter(|slot| is_slot(*slot)).any(hex);
        Some(Self {
            digits: text[start..end].to_vec(),
            open_before: start == 0,
            open_after: end == text.len(),
            word: (may_be_hex && !(closed && only_digits)).then(|| word.to_vec()),
        })
    }
}

/// Whether some content of the slots puts the needle into a line: a walk over all places at once.
fn fits(key: &[u8], needle: &[u8]) -> bool {
    let takes = |element: u8, byte: u8| {
        if is_slot(element) { slot_takes(element, byte) } else { element == byte }
    };
    let Some((first, rest)) = needle.split_first() else { return true };
    // Whether the last byte of the needle was taken by the element.
    let mut active: Vec<bool> = key.iter().map(|element| takes(*element, *first)).collect();
    for byte in rest {
        let mut any = false;
        for at in (0..key.len()).rev() {
            let stays = active[at] && is_slot(key[at]);
            let comes = at > 0 && active[at - 1];
            active[at] = (stays || comes) && takes(key[at], *byte);
            any |= active[at];
        }
        if !any {
            return false;
        }
    }
    active.contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::lines::SLOT_DIGITS;

    #[test]
    fn templates_rule_out_what_cannot_be_in_their_lines() {
        let key: Vec<u8> =
            b"GET /a/# took #ms".iter().map(|b| if *b == b'#' { SLOT_DIGITS } else { *b }).collect();
        for (needle, verdict) in [
            ("GET", Verdict::Always),
            ("", Verdict::Always),
            ("took", Verdict::Always),
            ("POST", Verdict::Never),
            ("/a/17 took", Verdict::Maybe),
            ("17 took 9", Verdict::Maybe),
            ("17 toook", Verdict::Never),
            ("17", Verdict::Maybe),
            ("ff", Verdict::Never),
            ("9ms!", Verdict::Never),
            ("1m", Verdict::Maybe),
        ] {
            assert_eq!(Needle::new(needle.as_bytes()).verdict(&key), verdict, "{needle:?}");
        }
    }
}
