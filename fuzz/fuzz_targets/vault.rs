//! Any bytes as something sealed: only what was sealed opens, unchanged and for the same owner.
//!
//! Input: one line each for a key's id and an owner; then bytes, which are sealed, opened and read as every kind of text.
#![no_main]

use amalgam_vault::{DataKey, MasterKey, hex, open, open_id, seal, seal_id, sealed_by};
use libfuzzer_sys::fuzz_target;

const NONCE: [u8; 12] = [7; 12];

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || parts.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let (id, owner) = (line(), line());
    let bytes = parts.next().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);

    if let Ok(master) = MasterKey::parse(&text) {
        let again = MasterKey::parse(master.to_text().expose()).expect("a master key's text is a master key");
        assert_eq!(master.to_text().expose(), again.to_text().expose());
    }
    let master = MasterKey::generate([1; 32]);
    assert!(DataKey::open(&master, id, &text).is_err(), "a data key that nobody sealed opens");
    let Ok(key) = DataKey::new(id, [2; 32]) else { return };

    let sealed_key = key.seal(&master, NONCE).expect("a key can be sealed");
    assert_eq!(DataKey::open(&master, id, &sealed_key).expect("what was sealed opens").id(), id);

    drop(sealed_by(bytes));
    assert!(open(&key, &[owner], bytes).is_err(), "bytes that nobody sealed open");
    assert!(key.open_text(&[owner], &text).is_err() && open_id(&key, owner, &text).is_none());

    let sealed = seal(&key, NONCE, &[owner], bytes).expect("bytes can be sealed");
    assert_eq!(sealed_by(&sealed), Some(id));
    assert_eq!(open(&key, &[owner], &sealed).expect("what was sealed opens").as_slice(), bytes);
    for other in [[owner, ""].as_slice(), &[], &["someone else's"]] {
        assert!(other == [owner] || open(&key, other, &sealed).is_err(), "it opens for another owner");
    }
    // One changed bit, at a place that the input chooses.
    let mut changed = sealed.clone();
    let place = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % sealed.len();
    changed[place] ^= 1;
    assert!(open(&key, &[owner], &changed).is_err(), "it opens although byte {place} changed: {}", hex(&changed));

    if let Ok(id) = seal_id(&key, NONCE, owner, bytes) {
        assert_eq!(open_id(&key, owner, &id).as_deref(), Some(bytes));
        assert_eq!(open_id(&key, "another purpose", &id).is_some(), owner == "another purpose");
    }
});
