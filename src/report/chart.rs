//! What all charts share: sizes, colours, fonts, and the way from a drawing to SVG or PNG.
//!
//! Colours are Okabe and Ito's, which remain apart for every kind of colour vision. Text is set in DejaVu Sans, which
//! is part of the program: no font of the system is asked, so that a picture is the same everywhere.

use std::io::Write as _;
use std::sync::Once;

use flate2::{Compression, Crc, write::ZlibEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

/// The family written into SVG files: the font that was measured, then ones that are about as wide.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Device pixels for one unit of layout: pictures are drawn at double size and shown at half.
const SCALE: i32 = 2;

/// Okabe and Ito's palette.
pub mod palette {
    use plotters::style::RGBColor;

    /// Orange.
    pub const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
    /// Sky blue.
    pub const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
    /// Bluish green.
    pub const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
    /// Yellow.
    pub const YELLOW: RGBColor = RGBColor(0xf0, 0xe4, 0x42);
    /// Blue.
    pub const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
    /// Vermillion.
    pub const VERMILLION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
    /// Reddish purple.
    pub const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
    /// Grey, for what is absent.
    pub const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

    /// Colours of series that have none of their own, in the order in which they are given out.
    pub const SERIES: [RGBColor; 8] = [VERMILLION, ORANGE, PURPLE, BLUE, GREEN, YELLOW, SKY, GREY];

    /// As CSS writes it.
    pub fn css(color: RGBColor) -> String {
        format!("#{:02x}{:02x}{:02x}", color.0, color.1, color.2)
    }
}

/// What a picture lies on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on white.
    #[default]
    Light,
    /// Light ink on near-black.
    Dark,
}

/// Colours and sizes while drawing.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Behind everything.
    pub paper: RGBColor,
    /// Text and axes.
    pub ink: RGBColor,
    /// Text of less weight.
    pub faint: RGBColor,
    /// Grid lines.
    pub grid: RGBColor,
    /// Ground of an empty lane.
    pub lane: RGBColor,
    /// A program that is not running.
    pub dead: RGBColor,
}

impl Look {
    fn of(theme: Theme) -> Look {
        match theme {
            Theme::Light => Look {
                paper: RGBColor(0xff, 0xff, 0xff),
                ink: RGBColor(0x1a, 0x1a, 0x1a),
                faint: RGBColor(0x55, 0x55, 0x55),
                grid: RGBColor(0xdd, 0xdd, 0xdd),
                lane: RGBColor(0xf4, 0xf4, 0xf4),
                dead: RGBColor(0x8a, 0x8a, 0x8a),
            },
            Theme::Dark => Look {
                paper: RGBColor(0x14, 0x17, 0x1a),
                ink: RGBColor(0xec, 0xec, 0xec),
                faint: RGBColor(0xae, 0xb4, 0xb9),
                grid: RGBColor(0x36, 0x3c, 0x42),
                lane: RGBColor(0x1f, 0x24, 0x28),
                dead: RGBColor(0x6e, 0x74, 0x79),
            },
        }
    }

    /// Device pixels for a length of the layout.
    pub fn px(&self, units: i32) -> i32 {
        units * SCALE
    }

    /// A text style; `size` in units of the layout.
    pub fn text(&self, size: i32, color: RGBColor) -> TextStyle<'static> {
        (FAMILY, (size * SCALE) as f64 * 1.24).into_font().color(&color)
    }

    /// A bold text style.
    pub fn bold(&self, size: i32, color: RGBColor) -> TextStyle<'static> {
        (FAMILY, (size * SCALE) as f64 * 1.24).into_font().style(FontStyle::Bold).color(&color)
    }
}

/// Black or white, whichever can be read on a colour.
pub fn readable_on(color: RGBColor) -> RGBColor {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        c * c
    };
    let light = 0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2);
    if light > 0.22 { RGBColor(0, 0, 0) } else { RGBColor(255, 255, 255) }
}

/// A colour laid over another.
pub fn blend(top: RGBColor, below: RGBColor, alpha: f64) -> RGBColor {
    let mix = |a: u8, b: u8| (f64::from(a) * alpha + f64::from(b) * (1.0 - alpha) + 0.5) as u8;
    RGBColor(mix(top.0, below.0), mix(top.1, below.1), mix(top.2, below.2))
}

/// Where a text is tied to its point.
pub fn anchor(style: TextStyle<'static>, h: HPos, v: VPos) -> TextStyle<'static> {
    style.pos(Pos::new(h, v))
}

/// The error of a drawing on a backend.
pub type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// A picture that can be drawn on any backend.
pub trait Chart {
    /// Width and height in units of the layout.
    fn size(&self) -> (u32, u32);

    /// What the picture shows, in a sentence, for those who cannot see it.
    fn title(&self) -> String;

    /// Draws it.
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static;

    /// The picture as an SVG document.
    fn svg(&self, theme: Theme) -> String {
        fonts();
        let (width, height) = self.size();
        let look = Look::of(theme);
        let mut body = String::new();
        {
            let size = (width * SCALE as u32, height * SCALE as u32);
            let area = SVGBackend::with_string(&mut body, size).into_drawing_area();
            area.fill(&look.paper).and_then(|()| self.draw(&area, &look)).expect("text can always be appended");
            area.present().expect("text can always be appended");
        }
        let inner = body.split_once(">\n").map_or("", |(_, rest)| rest);
        let (w2, h2) = (width * SCALE as u32, height * SCALE as u32);
        let title = escape(&self.title());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w2} {h2}\" \
             role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n{inner}"
        )
    }

    /// The picture as a PNG file.
    fn png(&self, theme: Theme) -> Vec<u8> {
        fonts();
        let (width, height) = self.size();
        let (width, height) = (width * SCALE as u32, height * SCALE as u32);
        let look = Look::of(theme);
        let mut pixels = vec![0; (width * height * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            area.fill(&look.paper).and_then(|()| self.draw(&area, &look)).expect("memory can always be drawn on");
            area.present().expect("memory can always be drawn on");
        }
        encode_png(width, height, &pixels)
    }
}

fn fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fonts = [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())];
        for (style, bytes) in fonts {
            assert!(register_font(FAMILY, style, bytes).is_ok(), "the bundled font can be read");
        }
    });
}

/// A PNG file of 8-bit RGB pixels. Every line is written as differences to the line above, which suits flat areas.
fn encode_png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let stride = width as usize * 3;
    assert_eq!(pixels.len(), stride * height as usize, "three bytes a pixel");
    let mut lines = Vec::with_capacity(pixels.len() + height as usize);
    let mut above: &[u8] = &vec![0; stride];
    for line in pixels.chunks_exact(stride) {
        lines.push(2);
        lines.extend(line.iter().zip(above).map(|(here, up)| here.wrapping_sub(*up)));
        above = line;
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let data = zlib.write_all(&lines).and_then(|()| zlib.finish()).expect("memory can be written to");
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

/// Text for SVG and HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A step of 1, 2 or 5 times a power of ten (for times also 15, 30 and 60 and their multiples) that divides `span` into
/// at most `most` parts.
pub fn nice_step(span: f64, most: usize) -> f64 {
    const STEPS: [f64; 24] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
        300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
    ];
    let wanted = span / most.max(1) as f64;
    STEPS.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| libm::ceil(wanted / 7200.0) * 7200.0)
}

/// A time on an axis: seconds below ten minutes, beyond that minutes.
pub fn tick_label(seconds: f64, span: f64, step: f64) -> String {
    if span > 600.0 {
        let sign = if seconds < 0.0 { "−" } else { "" };
        let whole = libm::round(seconds.abs()) as u64;
        if step >= 60.0 { format!("{sign}{}", whole / 60) } else { format!("{sign}{}:{:02}", whole / 60, whole % 60) }
    } else {
        let decimals = if step >= 1.0 { 0 } else if step >= 0.1 && step != 0.25 { 1 } else { 2 };
        let text = format!("{seconds:.decimals$}");
        if let Some(rest) = text.strip_prefix('-') { format!("−{rest}") } else { text }
    }
}

/// The unit that [`tick_label`] counts in.
pub fn tick_unit(span: f64) -> &'static str {
    if span > 600.0 { "min" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        for span in [0.5, 3.0, 28.0, 30.0, 55.0, 600.0, 1800.0, 86_400.0] {
            let step = nice_step(span, 12);
            assert!(span / step <= 12.0 && span / step >= 2.0, "{span} in steps of {step}");
        }
        assert_eq!(nice_step(30.0, 15), 2.0);
        assert_eq!(nice_step(1800.0, 12), 300.0);
    }

    #[test]
    fn labels_have_the_digits_they_need() {
        assert_eq!(tick_label(-5.0, 30.0, 5.0), "−5");
        assert_eq!(tick_label(0.25, 3.0, 0.25), "0.25");
        assert_eq!(tick_label(900.0, 1800.0, 300.0), "15");
        assert_eq!(tick_label(90.0, 700.0, 30.0), "1:30");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a href='x'>&\"b\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;b&quot;&lt;/a&gt;");
    }

    #[test]
    fn a_png_begins_and_ends_as_one() {
        let file = encode_png(2, 1, &[255, 0, 0, 0, 0, 255]);
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[12..24], b"IHDR\0\0\0\x02\0\0\0\x01");
        assert_eq!(&file[file.len() - 12..], b"\0\0\0\0IEND\xaeB`\x82");
    }
}
