//! Go's text/template and html/template: parsed once, rendered with bounds on steps, depth and output.
//!
//! A template set is made of named templates, parsed from any number of texts. Data and functions are the caller's:
//! a [`Value`] with Go's kinds, an [`Object`] for structs and for types with methods, [`Functions`] for what templates
//! may call. Rendering never panics and never runs longer than its [`Limits`] allow. The crate knows no alerts, no
//! labels and no I/O.

#![warn(missing_docs)]

mod builtins;
mod compare;
mod error;
mod escape;
mod exec;
mod functions;
mod html;
mod lexer;
mod node;
mod number;
mod parser;
mod printf;
mod set;
mod time;
mod time_layout;
mod value;

pub use error::{CallError, TemplateError};
pub use escape::{escape_html, escape_query};
pub use functions::{Args, Functions, TemplateCaller};
pub use printf::{format_value, sprintf};
pub use set::{Limits, MissingKey, Mode, Template, TemplateSet};
pub use time::{GoDuration, GoTime};
pub use time_layout::{format_time, parse_time};
pub use value::{Function, Map, Object, Value};
