//! Real servers, the real program and a real browser: one file a topic. What the tests start listens on loopback, on
//! ports that nobody uses, and ends with the test.

mod access;
mod binary;
mod browser;
mod client_line;
mod client_requests;
mod command_line;
mod cross_origin;
mod demo;
mod flood;
mod gateway;
mod gateway_floods;
mod gateway_leaving;
mod gateway_smuggling;
mod guide;
mod keyboard;
mod looks;
mod pages;
mod process;
mod provider;
mod seed_flow;
mod seed_play;
mod studio;
