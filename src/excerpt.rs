//! A file's text with its name, for messages that show the place of a fault.

use std::sync::Arc;

/// A text and where it is from.
#[derive(Clone, Debug)]
pub(crate) struct Excerpt {
    name: String,
    text: Arc<str>,
}

impl Excerpt {
    pub(crate) fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Excerpt {
        Excerpt { name: name.into(), text: text.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(feature = "cli")]
impl miette::SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let part = self.text.read_span(span, lines_before, lines_after)?;
        let (data, span) = (part.data(), *part.span());
        let place = (part.line(), part.column(), part.line_count());
        let named = miette::MietteSpanContents::new_named(self.name.clone(), data, span, place.0, place.1, place.2);
        Ok(Box::new(named))
    }
}
