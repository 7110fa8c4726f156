//! What the upstreams behind a server tell a stream.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use amalgam_protocol::{
    bridge,
    listen::{Change, Filter},
    splice::quoted,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    app::App,
    catalogue, direct,
    error::Result,
    mcp::{Context, methods, relay},
    store::upstreams::Upstream,
    upstream::{Client, News, Wanted, Word},
};

/// Messages that may wait for the stream.
const QUEUE: usize = 64;
/// A stream begins after this time even where an upstream is not yet heard.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something for the one who listens.
pub enum Told {
    /// Something has changed.
    News(Change),
    /// A log message: the JSON of its parameters.
    Log(String),
    /// A request to the client: JSON.
    Question(Vec<u8>),
}

/// For the stream of a legacy session: all changes of lists, and of the resources that the session has subscribed to.
pub async fn legacy(context: &Context<'_>) -> Result<mpsc::Receiver<Told>> {
    let client = methods::client(context, None);
    let Some(session) = context.session else { return Ok(mpsc::channel(1).1) };
    let lane = context.app.upstreams.waiting().lane(session.hash());
    let wanted = direct::upstreams(&context.app.store, context.server).await?.into_iter().map(|loaded| {
        let wanted = lane.wanted(loaded.id());
        (loaded.id().to_owned(), wanted)
    });
    listen(context, &client, wanted.collect()).await
}

/// For `subscriptions/listen`: what its filter wants, of each upstream what it has.
pub async fn modern(context: &Context<'_>, filter: &Filter, client: &Client) -> Result<mpsc::Receiver<Told>> {
    let all = direct::upstreams(&context.app.store, context.server).await?;
    let lists = filter.tools_list_changed || filter.prompts_list_changed || filter.resources_list_changed;
    let mut wanted = Vec::with_capacity(all.len());
    for loaded in &all {
        let of_it =
            |uri: &&String| methods::source_of(context, &all, "resources/read", uri).is_some_and(|route| route.connector_id == loaded.id());
        let resources: Vec<String> = filter.resource_subscriptions.iter().filter(of_it).cloned().collect();
        if lists || !resources.is_empty() {
            wanted.push((loaded.id().to_owned(), watch::channel(Wanted { lists, resources }).1));
        }
    }
    listen(context, client, wanted).await
}

async fn listen(context: &Context<'_>, client: &Client, wanted: Vec<(String, watch::Receiver<Wanted>)>) -> Result<mpsc::Receiver<Told>> {
    let (sender, told) = mpsc::channel(QUEUE);
    let owner = relay::owner(context.caller, &client.lane);
    let mut ready: Vec<oneshot::Receiver<()>> = Vec::with_capacity(wanted.len());
    for (connector, wanted) in wanted {
        let found = catalogue::upstream(&context.app.store, &context.caller.scope, Some(context.server), &connector).await?;
        let Some(registered) = found else { continue };
        let upstream = registered.upstream.clone();
        let (words, is_ready) = context.app.upstreams.watch(&upstream, client, wanted);
        ready.push(is_ready);
        tokio::spawn(pass(context.app.clone(), upstream, owner.clone(), words, sender.clone()));
    }
    drop(tokio::time::timeout(PATIENCE, futures_util::future::join_all(ready)).await);
    Ok(told)
}

fn is_list(news: &News) -> bool {
    matches!(news, News::Tools | News::Prompts | News::Resources)
}

async fn pass(app: App, upstream: Arc<Upstream>, owner: String, mut words: mpsc::Receiver<Word>, sender: mpsc::Sender<Told>) {
    let mut ahead = VecDeque::new();
    loop {
        let next = match ahead.pop_front() {
            Some(next) => Some(next),
            None => tokio::select! {
                next = words.recv() => next,
                () = sender.closed() => return,
            },
        };
        let told = match next {
            None => return,
            Some(Word::Question(asked)) => {
                let mut question = app.upstreams.waiting().ask(&owner);
                let request = bridge::request(&quoted(&question.id), &asked.method, &asked.params);
                let stream = sender.clone();
                tokio::spawn(async move {
                    let answer = tokio::select! {
                        answer = question.answer() => answer,
                        () = stream.closed() => None,
                    };
                    if let Some(answer) = answer {
                        // An upstream that is gone needs no answer.
                        let _ = asked.answer.send(answer);
                    }
                });
                Told::Question(request)
            }
            Some(Word::News(News::Log(params))) => Told::Log(params),
            Some(Word::News(News::Resource(uri))) => Told::News(Change::Resource(uri)),
            Some(Word::News(list)) => {
                // Said many times over, it is one change.
                while let Ok(word) = words.try_recv() {
                    let is_known =
                        |news: &News| is_list(news) && ahead.iter().any(|word| matches!(word, Word::News(known) if known == news));
                    if !matches!(&word, Word::News(news) if *news == list || is_known(news)) {
                        ahead.push_back(word);
                    }
                }
                // Who is told of a change must find it: the lists are asked for first.
                Box::pin(relay::refreshed(&app, &upstream)).await;
                Told::News(match list {
                    News::Tools => Change::Tools,
                    News::Prompts => Change::Prompts,
                    News::Resources | News::Resource(_) | News::Log(_) => Change::Resources,
                })
            }
        };
        if sender.send(told).await.is_err() {
            return;
        }
    }
}
