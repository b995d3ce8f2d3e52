//! PNG files.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};

/// A PNG file of 8-bit RGB pixels. Every line is written as differences to the line above, which suits flat areas.
pub(super) fn encode_png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let stride = width as usize * 3;
    assert_eq!(pixels.len(), stride * height as usize, "three bytes a pixel");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut above: &[u8] = &vec![0; stride];
    let mut difference = Vec::with_capacity(1 + stride);
    for line in pixels.chunks_exact(stride) {
        difference.clear();
        difference.push(2);
        difference.extend(line.iter().zip(above).map(|(here, up)| here.wrapping_sub(*up)));
        zlib.write_all(&difference).expect("memory can be written to");
        above = line;
    }
    let data = zlib.finish().expect("memory can be written to");
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], body: &[u8]| {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(body);
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(name);
        out.extend(body);
        out.extend(crc.sum().to_be_bytes());
    };
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    chunk(b"IHDR", &head);
    chunk(b"IDAT", &data);
    chunk(b"IEND", &[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_begins_and_ends_as_one() {
        let file = encode_png(2, 1, &[255, 0, 0, 0, 0, 255]);
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[12..24], b"IHDR\0\0\0\x02\0\0\0\x01");
        assert_eq!(&file[file.len() - 12..], b"\0\0\0\0IEND\xaeB`\x82");
    }
}
