//! A doorway for fuzz targets. Not part of the API.

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

use crate::archive;
use crate::output::OutputDirectory;
use crate::plugin::Plugin;

/// Judges a plugin's answer and gathers the files in it, into a directory and into an archive.
pub fn plugin_reply(reply: &[u8]) {
    let input = FileDescriptorProto {
        name: Some("a.proto".into()),
        edition: Some(Edition::EDITION_2023),
        ..Default::default()
    };
    let plugin = Plugin { name: "protoc-gen-fuzz", program: None };
    for inputs in [&[][..], &[input]] {
        let Ok(outputs) = plugin.judge(reply, inputs.iter()) else { continue };
        let mut directory = OutputDirectory::at("out/");
        directory.make_packages();
        let _problems = directory.add(outputs);
        let _packed = archive::pack(directory.files());
    }
}
