//! Text format to messages: what stands between the braces of an aggregate option, and what `--encode` reads.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::diagnostic::Severity;
use crate::dynamic::{Dynamic, FieldRef, MessageRef, Value};
use crate::lexer::{Finding, Lexer, Style};
use crate::limits::OPTION_NESTING;
use crate::token::{TokenKind, is_identifier, parse_float, parse_integer, unescape_into};

/// Finds what names in brackets mean.
pub(crate) trait Finder<'p> {
    /// The extension of `message` that `name` means.
    fn extension(&mut self, message: MessageRef<'p>, name: &str) -> Option<FieldRef<'p>>;
    /// The type of an `Any`.
    fn any_type(&mut self, prefix: &str, name: &str) -> Option<MessageRef<'p>>;
}

/// Reads a message from text. The error is all complaints, joined by `; `.
pub(crate) fn parse_message<'p>(
    message: MessageRef<'p>,
    text: &str,
    finder: &mut dyn Finder<'p>,
) -> Result<Dynamic<'p>, String> {
    let (parsed, findings) = parse(message, text.as_bytes(), finder, Required::Needed);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    let mut errors: Vec<String> = findings.into_iter().filter(is_error).map(|finding| finding.message).collect();
    if let Some(value) = parsed.filter(|_| errors.is_empty()) {
        let mut missing = Vec::new();
        value.missing_required("", &mut missing);
        if missing.is_empty() {
            return Ok(value);
        }
        errors.push(format!("Message missing required fields: {}", missing.join(", ")));
    }
    Err(errors.join("; "))
}

/// Reads a message from text, whether or not its required fields are there. With it everything there is to say.
pub(crate) fn parse_partial<'p>(
    message: MessageRef<'p>,
    text: &[u8],
    finder: &mut dyn Finder<'p>,
) -> (Option<Dynamic<'p>>, Vec<Finding>) {
    parse(message, text, finder, Required::MayMiss)
}

fn parse<'p>(
    message: MessageRef<'p>,
    text: &[u8],
    finder: &mut dyn Finder<'p>,
    required: Required,
) -> (Option<Dynamic<'p>>, Vec<Finding>) {
    let lexer = Lexer::new(text, Style::TextFormat);
    let mut parser = Parser { lexer, finder, depth: OPTION_NESTING, required };
    parser.lexer.next();
    let mut value = Dynamic::new(message);
    let parsed = parser.fields(&mut value);
    (parsed.is_ok().then_some(value), parser.lexer.findings)
}

/// What becomes of a message in an `Any` that lacks required fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Required {
    Needed,
    MayMiss,
}

struct Failed;

type Parse<T = ()> = Result<T, Failed>;

struct Parser<'a, 'f, 'p> {
    lexer: Lexer<'a>,
    finder: &'f mut dyn Finder<'p>,
    /// How much deeper messages may nest.
    depth: u32,
    required: Required,
}

/// A name that a message's reserved names hold back: its value is read and dropped.
enum Target<'p> {
    Field(FieldRef<'p>),
    Reserved,
}

impl<'p> Parser<'_, '_, 'p> {
    fn text(&self) -> String {
        String::from_utf8_lossy(self.lexer.current_text()).into_owned()
    }

    fn at(&self, text: &str) -> bool {
        self.lexer.current_text() == text.as_bytes()
    }

    fn at_kind(&self, kind: TokenKind) -> bool {
        self.lexer.current.kind == kind
    }

    fn fail<T>(&mut self, message: impl Into<String>) -> Parse<T> {
        let token = self.lexer.current;
        self.lexer.error(token.line, token.column, message);
        Err(Failed)
    }

    /// As [`fail`](Self::fail), where the last token ended: there protoc reports what is wrong with a name in brackets.
    fn fail_behind<T>(&mut self, message: impl Into<String>) -> Parse<T> {
        let token = self.lexer.previous;
        self.lexer.error(token.line, token.end_column, message);
        Err(Failed)
    }

    fn try_consume(&mut self, text: &str) -> bool {
        let found = self.at(text);
        if found {
            self.lexer.next();
        }
        found
    }

    fn consume(&mut self, text: &str) -> Parse {
        if self.try_consume(text) {
            return Ok(());
        }
        let found = self.text();
        self.fail(format!("Expected \"{text}\", found \"{found}\"."))
    }

    fn fields(&mut self, message: &mut Dynamic<'p>) -> Parse {
        while !self.at_kind(TokenKind::End) {
            self.field(message)?;
        }
        Ok(())
    }

    /// Fields up to the closing delimiter.
    fn message_body(&mut self, message: &mut Dynamic<'p>, close: &str) -> Parse {
        while !self.at(">") && !self.at("}") {
            self.field(message)?;
        }
        self.consume(close)
    }

    fn open(&mut self) -> Parse<&'static str> {
        if self.try_consume("<") {
            return Ok(">");
        }
        self.consume("{")?;
        Ok("}")
    }

    fn field(&mut self, message: &mut Dynamic<'p>) -> Parse {
        if self.at("[") && message.message.full_name() == "google.protobuf.Any" {
            self.any(message)?;
        } else {
            match self.field_name(message.message)? {
                Target::Field(field) => self.field_values(message, field)?,
                Target::Reserved => self.skip_value_of_field()?,
            }
        }
        let _separator = self.try_consume(";") || self.try_consume(",");
        Ok(())
    }

    fn field_name(&mut self, message: MessageRef<'p>) -> Parse<Target<'p>> {
        if self.at("[") {
            let (prefix, name) = self.bracketed_name()?;
            if !prefix.is_empty() {
                return self.fail_behind("Extension name contains \"/\"");
            }
            return match self.finder.extension(message, &name) {
                Some(field) => Ok(Target::Field(field)),
                None => self.fail(format!(
                    "Extension \"{name}\" is not defined or is not an extension of \"{}\".",
                    message.full_name()
                )),
            };
        }
        let name = self.identifier()?;
        if let Some(field) = message.field_by_name(&name) {
            return Ok(Target::Field(field));
        }
        // Groups go by the name of their type.
        let lower = name.to_ascii_lowercase();
        let group = message.field_by_name(&lower).filter(|field| is_group_like(*field, message));
        if let Some(field) =
            group.filter(|field| field.message().is_some_and(|group| group.proto().name.as_deref() == Some(&name)))
        {
            return Ok(Target::Field(field));
        }
        if message.is_reserved(&name) {
            return Ok(Target::Reserved);
        }
        self.fail(format!("Message type \"{}\" has no field named \"{name}\".", message.full_name()))
    }

    fn field_values(&mut self, message: &mut Dynamic<'p>, field: FieldRef<'p>) -> Parse {
        self.refuse_second_value(message, field)?;
        self.warn_if_deprecated(field);
        if field.is_message() {
            self.try_consume(":");
        } else {
            self.consume(":")?;
        }
        if !(field.is_repeated() && self.try_consume("[")) {
            return self.field_value(message, field);
        }
        if self.try_consume("]") {
            return Ok(());
        }
        loop {
            self.field_value(message, field)?;
            if self.try_consume("]") {
                return Ok(());
            }
            self.consume(",")?;
        }
    }

    fn refuse_second_value(&mut self, message: &Dynamic<'p>, field: FieldRef<'p>) -> Parse {
        let name = match field.extension {
            Some(_) => field.full_name(),
            None => field.name().to_owned(),
        };
        if !field.is_repeated() && message.fields.contains_key(&field.number()) {
            return self.fail(format!("Non-repeated field \"{name}\" is specified multiple times."));
        }
        let Some(oneof) = field.oneof() else { return Ok(()) };
        match message.member(oneof) {
            Some(other) => {
                let oneof = message.message.proto().oneof_decl.get(oneof as usize);
                let oneof_name = oneof.and_then(|oneof| oneof.name.as_deref()).unwrap_or_default();
                self.fail(format!(
                    "Field \"{name}\" is specified along with field \"{}\", another member of oneof \"{oneof_name}\".",
                    other.name()
                ))
            }
            None => Ok(()),
        }
    }

    fn warn_if_deprecated(&mut self, field: FieldRef<'p>) {
        if field.proto.options.as_option().is_some_and(|options| options.deprecated == Some(true)) {
            let (line, column) = (Some(self.lexer.current.line), self.lexer.current.column);
            let message = format!("text format contains deprecated field \"{}\"", field.name());
            self.lexer.findings.push(Finding { line, column, severity: Severity::Warning, message });
        }
    }

    fn field_value(&mut self, message: &mut Dynamic<'p>, field: FieldRef<'p>) -> Parse {
        let value = match field.message().filter(|_| field.is_message()) {
            Some(inner_type) => {
                let mut inner = Dynamic::new(inner_type);
                self.nested(|parser| {
                    let close = parser.open()?;
                    parser.message_body(&mut inner, close)
                })?;
                Value::Message(inner)
            }
            None => self.scalar(field)?,
        };
        message.set(field, value);
        Ok(())
    }

    fn nested<T>(&mut self, body: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return self.fail(format!(
                "Message is too deep, the parser exceeded the configured recursion limit of {OPTION_NESTING}."
            ));
        };
        self.depth = depth;
        let result = body(self);
        self.depth += 1;
        result
    }

    fn scalar(&mut self, field: FieldRef<'p>) -> Parse<Value<'p>> {
        let max32 = i32::MAX as u64;
        Ok(match field.proto.r#type.unwrap_or(Type::TYPE_INT32) {
            Type::TYPE_INT32 => Value::Varint(self.signed(max32)? as u64),
            Type::TYPE_SINT32 => Value::Varint(u64::from(zigzag32(self.signed(max32)? as i32))),
            Type::TYPE_SFIXED32 => Value::Fixed32(self.signed(max32)? as u32),
            Type::TYPE_INT64 => Value::Varint(self.signed(i64::MAX as u64)? as u64),
            Type::TYPE_SINT64 => Value::Varint(zigzag64(self.signed(i64::MAX as u64)?)),
            Type::TYPE_SFIXED64 => Value::Fixed64(self.signed(i64::MAX as u64)? as u64),
            Type::TYPE_UINT32 => Value::Varint(self.unsigned(u64::from(u32::MAX))?),
            Type::TYPE_FIXED32 => Value::Fixed32(self.unsigned(u64::from(u32::MAX))? as u32),
            Type::TYPE_UINT64 => Value::Varint(self.unsigned(u64::MAX)?),
            Type::TYPE_FIXED64 => Value::Fixed64(self.unsigned(u64::MAX)?),
            Type::TYPE_FLOAT => Value::Fixed32((self.double()? as f32).to_bits()),
            Type::TYPE_DOUBLE => Value::Fixed64(self.double()?.to_bits()),
            Type::TYPE_BOOL => Value::Varint(u64::from(self.boolean(field)?)),
            Type::TYPE_ENUM => Value::Varint(i64::from(self.enum_number(field)?) as u64),
            Type::TYPE_STRING | Type::TYPE_BYTES | Type::TYPE_MESSAGE | Type::TYPE_GROUP => {
                Value::Bytes(self.string()?)
            }
        })
    }

    fn identifier(&mut self) -> Parse<String> {
        let text = self.text();
        if !self.at_kind(TokenKind::Identifier) {
            return self.fail(format!("Expected identifier, got: {text}"));
        }
        self.lexer.next();
        Ok(text)
    }

    fn string(&mut self) -> Parse<Vec<u8>> {
        if !self.at_kind(TokenKind::String) {
            let text = self.text();
            return self.fail(format!("Expected string, got: {text}"));
        }
        let mut value = Vec::new();
        while self.at_kind(TokenKind::String) {
            unescape_into(self.lexer.current_text(), &mut value);
            self.lexer.next();
        }
        Ok(value)
    }

    fn unsigned(&mut self, max: u64) -> Parse<u64> {
        let text = self.text();
        if !self.at_kind(TokenKind::Integer) {
            return self.fail(format!("Expected integer, got: {text}"));
        }
        let Some(value) = parse_integer(text.as_bytes(), max) else {
            return self.fail(format!("Integer out of range ({text})"));
        };
        self.lexer.next();
        Ok(value)
    }

    fn signed(&mut self, max: u64) -> Parse<i64> {
        if self.try_consume("-") {
            Ok((self.unsigned(max + 1)? as i64).wrapping_neg())
        } else {
            Ok(self.unsigned(max)? as i64)
        }
    }

    fn double(&mut self) -> Parse<f64> {
        let negative = self.try_consume("-");
        let text = self.text();
        let value = match self.lexer.current.kind {
            TokenKind::Integer => {
                if text.len() > 1 && text.starts_with('0') {
                    return self.fail(format!("Expect a decimal number, got: {text}"));
                }
                match parse_integer(text.as_bytes(), u64::MAX) {
                    Some(value) => value as f64,
                    None => parse_float(text.as_bytes()).unwrap_or(0.0),
                }
            }
            TokenKind::Float => parse_float(text.as_bytes()).unwrap_or(0.0),
            TokenKind::Identifier => match text.to_ascii_lowercase().as_str() {
                "inf" | "infinity" => f64::INFINITY,
                "nan" => f64::NAN,
                lower => return self.fail(format!("Expected double, got: {lower}")),
            },
            _ => return self.fail(format!("Expected double, got: {text}")),
        };
        self.lexer.next();
        Ok(if negative { -value } else { value })
    }

    fn boolean(&mut self, field: FieldRef<'p>) -> Parse<bool> {
        if self.at_kind(TokenKind::Integer) {
            return Ok(self.unsigned(1)? != 0);
        }
        let word = self.identifier()?;
        match word.as_str() {
            "true" | "True" | "t" => Ok(true),
            "false" | "False" | "f" => Ok(false),
            _ => self.fail(format!("Invalid value for boolean field \"{}\". Value: \"{word}\".", field.name())),
        }
    }

    fn enum_number(&mut self, field: FieldRef<'p>) -> Parse<i32> {
        let Some(definition) = field.enumeration() else { return Err(Failed) };
        let (text, number, is_known) = if self.at_kind(TokenKind::Identifier) {
            let name = self.identifier()?;
            let number = definition.number_of(&name);
            (name, number, number.is_some())
        } else if self.at("-") || self.at_kind(TokenKind::Integer) {
            let number = self.signed(i32::MAX as u64)? as i32;
            (number.to_string(), Some(number), definition.has_number(number) || !definition.is_closed())
        } else {
            let text = self.text();
            return self.fail(format!("Expected integer or identifier, got: {text}"));
        };
        match number.filter(|_| is_known) {
            Some(number) => Ok(number),
            None => self.fail(format!("Unknown enumeration value of \"{text}\" for field \"{}\".", field.name())),
        }
    }

    /// `[prefix/full.name]`
    fn bracketed_name(&mut self) -> Parse<(String, String)> {
        self.lexer.url_chars = true;
        self.lexer.next();
        let mut text = String::new();
        while self.at_kind(TokenKind::UrlChars) {
            text.push_str(&self.text());
            self.lexer.next();
        }
        self.lexer.url_chars = false;
        self.consume("]")?;
        let (prefix, name) = text.split_at(text.rfind('/').map_or(0, |slash| slash + 1));
        if prefix == "/" {
            return self.fail_behind("Type URL prefix is empty");
        }
        if prefix.starts_with('/') {
            return self.fail_behind("Type URL starts with \"/\"");
        }
        let bytes = prefix.as_bytes();
        for at in (0..bytes.len()).filter(|&at| bytes[at] == b'%') {
            let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
            if !is_hex(bytes.get(at + 1)) || !is_hex(bytes.get(at + 2)) {
                let end = (at + 3).min(bytes.len());
                return self.fail_behind(format!("Invalid percent encode, got: \"{}\"", &prefix[at..end]));
            }
        }
        for part in name.split('.') {
            if !is_identifier(part.as_bytes()) {
                return self.fail_behind(format!("Invalid identifier in type name, got: \"{part}\""));
            }
        }
        Ok((prefix.to_owned(), name.to_owned()))
    }

    /// An `Any` written as the message in it.
    fn any(&mut self, any: &mut Dynamic<'p>) -> Parse {
        let (prefix, name) = self.bracketed_name()?;
        if prefix.is_empty() {
            return self.fail_behind("Type URL prefix is missing");
        }
        self.try_consume(":");
        let Some(message) = self.finder.any_type(&prefix, &name) else {
            return self.fail(format!("Could not find type \"{prefix}{name}\" stored in google.protobuf.Any."));
        };
        let mut value = Dynamic::new(message);
        self.nested(|parser| {
            let close = parser.open()?;
            parser.message_body(&mut value, close)
        })?;
        let mut missing = Vec::new();
        if self.required == Required::Needed {
            value.missing_required("", &mut missing);
        }
        if !missing.is_empty() {
            return self.fail(format!(
                "Value of type \"{}\" stored in google.protobuf.Any has missing required fields: {}",
                message.full_name(),
                missing.join(", ")
            ));
        }
        if !any.fields.is_empty() {
            return self.fail("Non-repeated Any specified multiple times.");
        }
        let parts = [(1, format!("{prefix}{name}").into_bytes()), (2, value.encode())];
        for (number, bytes) in parts {
            if let Some(field) = any.message.field_by_number(number) {
                any.set(field, Value::Bytes(bytes));
            }
        }
        Ok(())
    }

    fn skip_value_of_field(&mut self) -> Parse {
        let colon = self.try_consume(":");
        if colon && !self.at("{") && !self.at("<") { self.skip_value() } else { self.skip_message() }
    }

    fn skip_message(&mut self) -> Parse {
        self.nested(|parser| {
            let close = parser.open()?;
            while !parser.at(">") && !parser.at("}") {
                if parser.at("[") {
                    parser.bracketed_name()?;
                } else {
                    parser.identifier()?;
                }
                parser.skip_value_of_field()?;
                let _separator = parser.try_consume(";") || parser.try_consume(",");
            }
            parser.consume(close)
        })
    }

    fn skip_value(&mut self) -> Parse {
        if self.at_kind(TokenKind::String) {
            return self.string().map(drop);
        }
        if self.try_consume("[") {
            return self.nested(Self::skip_list);
        }
        let negative = self.try_consume("-");
        let text = self.text();
        match self.lexer.current.kind {
            TokenKind::Integer | TokenKind::Float => {}
            TokenKind::Identifier => {
                let lower = text.to_ascii_lowercase();
                if negative && !matches!(lower.as_str(), "inf" | "infinity" | "nan") {
                    return self.fail(format!("Invalid float number: {lower}"));
                }
            }
            _ => return self.fail(format!("Cannot skip field value, unexpected token: {text}")),
        }
        self.lexer.next();
        Ok(())
    }

    fn skip_list(&mut self) -> Parse {
        if self.try_consume("]") {
            return Ok(());
        }
        loop {
            if self.at("{") || self.at("<") {
                self.skip_message()?;
            } else {
                self.skip_value()?;
            }
            if self.try_consume("]") {
                return Ok(());
            }
            self.consume(",")?;
        }
    }
}

/// Whether a field looks like one made by a group: named for its type, which lies beside it.
pub(crate) fn is_group_like(field: FieldRef<'_>, message: MessageRef<'_>) -> bool {
    let Some(group) = field.message().filter(|_| field.wire_type() == Type::TYPE_GROUP) else { return false };
    let type_name = group.proto().name.as_deref().unwrap_or_default();
    type_name.to_ascii_lowercase() == field.name()
        && group.full_name().strip_suffix(type_name).and_then(|scope| scope.strip_suffix('.'))
            == Some(message.full_name())
}

pub(crate) fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(crate) fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
