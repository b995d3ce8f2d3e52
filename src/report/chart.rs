//! What all charts share: sizes, colours, fonts, and the way from a drawing to SVG or PNG.
//!
//! Colours are Okabe and Ito's, which remain apart for every kind of colour vision. Text is set in DejaVu Sans, which
//! is part of the program: no font of the system is asked, so that a picture is the same everywhere.

mod png;
mod scale;

use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

pub use scale::{TimeScale, ValueScale, duration_label, nice_step, plain, round_step, tick_label, tick_unit};

use self::png::encode_png;
use super::lanes::{FaultWindow, shorten};
use super::words::escape;

/// The family written into SVG files: the font that was measured, then ones that are about as wide.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Device pixels for one unit of layout: pictures are drawn at double size and shown at half.
const SCALE: i32 = 2;

/// Plotters' text size for one unit of a font's size.
const FULL: f64 = 1.24;

/// Okabe and Ito's palette.
pub(crate) mod palette {
    use plotters::style::RGBColor;

    /// Orange.
    pub(crate) const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
    /// Sky blue.
    pub(crate) const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
    /// Bluish green.
    pub(crate) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
    /// Yellow.
    pub(crate) const YELLOW: RGBColor = RGBColor(0xf0, 0xe4, 0x42);
    /// Blue.
    pub(crate) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
    /// Vermillion.
    pub(crate) const VERMILLION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
    /// Reddish purple.
    pub(crate) const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
    /// Brown, for what has no hue of Okabe and Ito's.
    pub(crate) const BROWN: RGBColor = RGBColor(0x8d, 0x5b, 0x3e);
    /// Grey, for what is absent.
    pub(crate) const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

    /// As CSS writes it.
    pub(crate) fn css(color: RGBColor) -> String {
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
    /// What went well: quiet, so that what did not stands out.
    pub good: RGBColor,
    theme: Theme,
    bitmap: bool,
}

impl Look {
    /// The look of a theme.
    pub fn of(theme: Theme) -> Look {
        match theme {
            Theme::Light => Look {
                paper: RGBColor(0xff, 0xff, 0xff),
                ink: RGBColor(0x1a, 0x1a, 0x1a),
                faint: RGBColor(0x55, 0x55, 0x55),
                grid: RGBColor(0xdd, 0xdd, 0xdd),
                lane: RGBColor(0xf4, 0xf4, 0xf4),
                dead: RGBColor(0x8a, 0x8a, 0x8a),
                good: RGBColor(0xc3, 0xcd, 0xd5),
                theme,
                bitmap: false,
            },
            Theme::Dark => Look {
                paper: RGBColor(0x14, 0x17, 0x1a),
                ink: RGBColor(0xec, 0xec, 0xec),
                faint: RGBColor(0xae, 0xb4, 0xb9),
                grid: RGBColor(0x36, 0x3c, 0x42),
                lane: RGBColor(0x1f, 0x24, 0x28),
                dead: RGBColor(0x6e, 0x74, 0x79),
                good: RGBColor(0x4a, 0x56, 0x60),
                theme,
                bitmap: false,
            },
        }
    }

    /// A colour, lighter where it would be lost in the dark.
    pub fn shade(&self, color: RGBColor) -> RGBColor {
        let dark = u32::from(color.0) + u32::from(color.1) + u32::from(color.2) < 300;
        if self.theme == Theme::Dark && dark { blend(color, RGBColor(255, 255, 255), 0.6) } else { color }
    }

    /// A text style; `size` in units of the layout.
    pub fn text(&self, size: i32, color: RGBColor) -> TextStyle<'static> {
        (FAMILY, f64::from(size * SCALE) * FULL, FontStyle::Normal).into_font().color(&color)
    }

    /// A bold text style.
    pub fn bold(&self, size: i32, color: RGBColor) -> TextStyle<'static> {
        (FAMILY, f64::from(size * SCALE) * FULL, FontStyle::Bold).into_font().color(&color)
    }
}

/// Draws in units of the layout.
pub struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    /// Colours.
    pub look: &'a Look,
}

impl<'a, DB: DrawingBackend> Pen<'a, DB>
where
    DB::ErrorType: 'static,
{
    /// A pen for an area.
    pub fn new(area: &'a DrawingArea<DB, Shift>, look: &'a Look) -> Self {
        Pen { area, look }
    }

    fn at(x: f64, y: f64) -> (i32, i32) {
        let device = |v: f64| libm::round(v * f64::from(SCALE)) as i32;
        (device(x), device(y))
    }

    /// A filled rectangle; at least one device pixel wide.
    pub fn rect(&self, x: f64, y: f64, width: f64, height: f64, color: RGBColor, alpha: f64) -> Drawn<DB> {
        let (from, mut to) = (Self::at(x, y), Self::at(x + width, y + height));
        to.0 = to.0.max(from.0 + 1);
        // Bitmaps include the last pixel, SVG does not: without this neighbours would overlap in bitmaps.
        self.area.draw(&Rectangle::new([from, to], color.mix(alpha).filled()))
    }

    /// The outline of a rectangle.
    pub fn frame(&self, x: f64, y: f64, width: f64, height: f64, color: RGBColor) -> Drawn<DB> {
        let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: SCALE as u32 };
        let (a, b) = (Self::at(x, y), Self::at(x + width, y + height));
        let points = vec![a, (b.0, a.1), b, (a.0, b.1), a];
        self.area.draw(&PathElement::new(points, style))
    }

    /// A straight line; `weight` in device pixels.
    pub fn line(&self, from: (f64, f64), to: (f64, f64), color: RGBColor, alpha: f64, weight: u32) -> Drawn<DB> {
        self.path(&[from, to], color, alpha, weight)
    }

    /// A line through points; `weight` in device pixels.
    pub fn path(&self, points: &[(f64, f64)], color: RGBColor, alpha: f64, weight: u32) -> Drawn<DB> {
        let style = ShapeStyle { color: color.mix(alpha), filled: false, stroke_width: weight };
        let points: Vec<(i32, i32)> = points.iter().map(|(x, y)| Self::at(*x, *y)).collect();
        self.area.draw(&PathElement::new(points, style))
    }

    /// A filled area.
    pub fn polygon(&self, points: &[(f64, f64)], color: RGBColor, alpha: f64) -> Drawn<DB> {
        let points: Vec<(i32, i32)> = points.iter().map(|(x, y)| Self::at(*x, *y)).collect();
        self.area.draw(&Polygon::new(points, color.mix(alpha)))
    }

    /// A filled circle.
    pub fn dot(&self, x: f64, y: f64, radius: f64, color: RGBColor) -> Drawn<DB> {
        let radius = libm::round(radius * f64::from(SCALE)) as i32;
        self.area.draw(&Circle::new(Self::at(x, y), radius, color.filled()))
    }

    /// A text.
    pub fn text(&self, x: f64, y: f64, text: &str, style: &TextStyle<'_>) -> Drawn<DB> {
        if text.is_empty() {
            return Ok(());
        }
        // Bitmaps set text higher than SVG does, by a part of its size.
        let size = style.font.get_size() / FULL;
        let lower = if self.look.bitmap { 0.19 } else { 0.05 };
        let (x, y) = Self::at(x, y);
        self.area.draw_text(text, style, (x, y + libm::round(size * lower) as i32))
    }

    /// A horizontal axis of values from zero to `most` or a little more between two places, with its grid and what it
    /// counts. Returns where a value lies.
    pub fn value_axis(
        &self,
        most: f64,
        (left, right): (f64, f64),
        (top, bottom): (f64, f64),
        label: &str,
    ) -> Result<impl Fn(f64) -> f64 + use<DB>, DrawingAreaErrorKind<DB::ErrorType>> {
        let step = round_step(most / 8.0);
        let ticks = libm::ceil(most / step) as i64;
        let x = move |value: f64| left + value / (ticks as f64 * step) * (right - left);
        let style = anchor(self.look.text(11, self.look.faint), HPos::Center, VPos::Top);
        for tick in 0..=ticks {
            let value = tick as f64 * step;
            self.line((x(value), top), (x(value), bottom), self.look.grid, 1.0, 1)?;
            self.text(x(value), bottom + 5.0, &plain(value), &style)?;
        }
        let style = anchor(self.look.text(11, self.look.ink), HPos::Center, VPos::Top);
        self.text((left + right) / 2.0, bottom + 21.0, label, &style)?;
        Ok(x)
    }

    /// How wide a text is.
    pub fn width(&self, text: &str, style: &TextStyle<'_>) -> f64 {
        self.area.estimate_text_size(text, style).map_or(0.0, |(width, _)| f64::from(width) / f64::from(SCALE))
    }
}

/// The faults' windows in a plot over time.
pub fn shade_faults<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scale: &TimeScale,
    faults: &[FaultWindow],
    top: f64,
    bottom: f64,
) -> Drawn<DB>
where
    DB::ErrorType: 'static,
{
    // Where faults overlap the shade is no darker.
    let mut windows: Vec<(i64, i64)> =
        faults.iter().filter(|fault| fault.lasts()).map(|fault| (fault.from_us, fault.to_us)).collect();
    windows.sort_unstable();
    let mut shaded = i64::MIN;
    for (from, to) in windows {
        let (x0, x1) = (scale.x(from.max(shaded)), scale.x(to));
        if to > shaded && x1 > x0 {
            pen.rect(x0, top, x1 - x0, bottom - top, palette::PURPLE, 0.14)?;
            shaded = to;
        }
    }
    Ok(())
}

/// When faults began and what they are, over a plot over time; labels without room are left out.
pub fn mark_faults<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scale: &TimeScale,
    faults: &[FaultWindow],
    top: f64,
    bottom: f64,
) -> Drawn<DB>
where
    DB::ErrorType: 'static,
{
    let look = pen.look;
    let style = anchor(look.text(10, look.ink), HPos::Left, VPos::Center);
    let shown = || faults.iter().filter(|fault| fault.from_us <= scale.to_us);
    for fault in shown() {
        let x = scale.x(fault.from_us);
        pen.line((x, top), (x, bottom), look.ink, 0.6, 2)?;
    }
    let mut free = [scale.left; 3];
    for fault in shown() {
        let text = shorten(&fault.label, 60);
        let width = pen.width(&text, &style) + 8.0;
        let left = scale.x(fault.from_us).min(scale.right - width);
        if let Some(row) = free.iter().position(|free| *free <= left) {
            let y = top + row as f64 * 15.0;
            pen.rect(left, y, width, 14.0, blend(palette::PURPLE, look.paper, 0.35), 1.0)?;
            pen.text(left + 4.0, y + 7.0, &text, &style)?;
            free[row] = left + width + 2.0;
        }
    }
    Ok(())
}

/// A chart's title and, smaller, what it is made from.
pub fn heading<DB: DrawingBackend>(pen: &Pen<'_, DB>, title: &str, rest: &str) -> Drawn<DB>
where
    DB::ErrorType: 'static,
{
    let look = pen.look;
    let bold = anchor(look.bold(15, look.ink), HPos::Left, VPos::Center);
    pen.text(14.0, 20.0, title, &bold)?;
    let x = 26.0 + pen.width(title, &bold);
    pen.text(x, 20.0, rest, &anchor(look.text(12, look.faint), HPos::Left, VPos::Center))
}

/// One entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The colour.
    pub color: RGBColor,
    /// What it stands for.
    pub text: String,
}

/// Rows of a legend between two edges. Returns the height that it takes.
pub fn legend<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    keys: &[Key],
    left: f64,
    right: f64,
    top: f64,
) -> Result<f64, DrawingAreaErrorKind<DB::ErrorType>>
where
    DB::ErrorType: 'static,
{
    let style = anchor(pen.look.text(11, pen.look.ink), HPos::Left, VPos::Center);
    let (mut x, mut y) = (left, top);
    for key in keys {
        let width = pen.width(&key.text, &style) + 34.0;
        if x + width > right && x > left {
            (x, y) = (left, y + 18.0);
        }
        pen.rect(x, y, 12.0, 12.0, key.color, 1.0)?;
        pen.frame(x, y, 12.0, 12.0, blend(pen.look.ink, key.color, 0.25))?;
        pen.text(x + 17.0, y + 6.0, &key.text, &style)?;
        x += width;
    }
    Ok(y + 18.0 - top)
}

/// How many rows of a legend are needed at most: for the height of a picture, before anything can be measured.
pub fn legend_rows(keys: &[Key], width: f64) -> u32 {
    let (mut x, mut rows) = (0.0, 1);
    for key in keys {
        let wide = key.text.chars().count() as f64 * 7.2 + 34.0;
        if x + wide > width && x > 0.0 {
            (x, rows) = (0.0, rows + 1);
        }
        x += wide;
    }
    rows
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
             role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n\
             <style>rect{{shape-rendering:crispEdges}}</style>\n{inner}"
        )
    }

    /// The picture as a PNG file.
    fn png(&self, theme: Theme) -> Vec<u8> {
        fonts();
        let (width, height) = self.size();
        let (width, height) = (width * SCALE as u32, height * SCALE as u32);
        let look = Look { bitmap: true, ..Look::of(theme) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a href='x'>&\"b\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;b&quot;&lt;/a&gt;");
    }
}
