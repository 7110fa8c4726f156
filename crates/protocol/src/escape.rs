//! JSON string escaping in one pass: runs without escapes are found many bytes at a time and copied whole.

/// Every byte of a word set to the same value.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;
/// The length of a text that is read by words alone; a multiple of a word.
const SHORT: usize = 32;

/// Appends `text` as a JSON string, quotes included. Equal to what serde_json writes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let run = plain_run(rest);
        let (plain, tail) = rest.split_at(run);
        out.extend_from_slice(plain);
        let Some((byte, tail)) = tail.split_first() else {
            break;
        };
        write_escape(out, *byte);
        rest = tail;
    }
    out.push(b'"');
}

/// How many bytes from the start need no escape.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    // Most texts are names and short values: they end in the first words.
    let (first, rest) = bytes.split_at(bytes.len().min(SHORT));
    let found = plain_words(first);
    if found < first.len() {
        return found;
    }
    // Of a block the compiler makes a few wide instructions, as it has no exit in its middle.
    let (blocks, _) = rest.as_chunks::<64>();
    let has_escape = |block: &&[u8; 64]| block.iter().fold(false, |any, byte| any | needs_escape(*byte));
    let start = blocks.iter().take_while(|block| !has_escape(block)).count() * 64;
    first.len() + start + plain_words(rest.get(start..).unwrap_or_default())
}

/// The same, a word at a time.
fn plain_words(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = marked(u64::from_le_bytes(*word));
        if marks != 0 {
            return index * 8 + (marks.trailing_zeros() / 8) as usize;
        }
    }
    let found = tail.iter().position(|byte| needs_escape(*byte)).unwrap_or(tail.len());
    bytes.len() - tail.len() + found
}

/// RFC 8259, section 7: quotation mark, reverse solidus, and the control characters U+0000 to U+001F.
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The highest bit of bytes that need an escape. The lowest that is set is right; the borrow of a subtraction, which only starts at a byte that
/// matches, may set others above it.
const fn marked(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let slash = slash.wrapping_sub(ONES) & !slash;
    (control | quote | slash) & HIGHS
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(hex(byte >> 4));
            out.push(hex(byte & 0x0f));
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
