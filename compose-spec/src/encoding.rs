//! Bytes that are not the text they should be, in words.

/// Why bytes are not text, in a few words.
pub fn not_text(error: &std::string::FromUtf8Error) -> String {
    let bytes = error.as_bytes();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "it is UTF-16, not UTF-8".to_owned();
    }
    let valid = error.utf8_error().valid_up_to();
    let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("it is not UTF-8 text: byte 0x{:02x} in line {line}", bytes[valid])
}
