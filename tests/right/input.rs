//! Wrong, extreme and hostile input.
