//! Four made-up platforms that resemble real ones, each action one line: method, id, name, description, parameters.

use amalgam_connector::definition::Definition;
use serde_json::{Map, Value, json};

/// A connector without anything but actions `id | METHOD | name | description | parameter parameter`; the resource is the
/// part of the id before its last separator.
pub fn platform(id: &str, name: &str, description: &str, categories: &[&str], actions: &str) -> Definition {
    let actions: Map<String, Value> = actions.lines().map(str::trim).filter(|line| !line.is_empty()).map(action).collect();
    let definition = json!({
        "id": id, "name": name, "description": description, "categories": categories,
        "base_url": "https://platform.example", "actions": actions,
    });
    serde_json::from_value(definition).unwrap()
}

fn action(line: &str) -> (String, Value) {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let [id, method, name, description, params] = parts[..] else { panic!("five parts: {line}") };
    let resource = id.rsplit_once(['.', '_']).map_or("", |(resource, _)| resource);
    let params: Map<String, Value> = params
        .split_whitespace()
        .map(|name| (name.to_owned(), json!({"in": "query", "description": format!("The {name} to use.")})))
        .collect();
    let action = json!({"method": method, "name": name, "description": description, "resource": resource, "path": format!("/{id}"), "params": params});
    (id.to_owned(), action)
}

pub fn four() -> [Definition; 4] {
    [
        platform("slack", "Slack", "Team chat: messages, channels, people, files.", &["communication"], SLACK),
        platform("notion", "Notion", "Pages, databases and comments of a workspace.", &["productivity", "content-management"], NOTION),
        platform("hubspot", "HubSpot", "Customer relationships: contacts, companies, deals, tickets.", &["crm", "marketing"], HUBSPOT),
        platform("matrix", "Matrix", "Open, decentralised communication in rooms.", &["communication"], MATRIX),
    ]
}

const SLACK: &str = "
    chat_postMessage | POST | Post a message | Posts a message to a channel, a direct message or a thread. | channel text thread_ts blocks
    chat_update | POST | Edit a message | Replaces the text of a message that this token posted. | channel ts text
    chat_delete | DELETE | Delete a message | Deletes a message for everyone, for good. | channel ts
    chat_scheduleMessage | POST | Schedule a message | Has a message posted later, at most 120 days ahead. | channel text post_at
    chat_getPermalink | GET | Get a link to a message | Returns a permanent URL of a message. | channel message_ts
    conversations_list | GET | List channels | Lists the channels of the workspace, public and private. | types limit cursor
    conversations_history | GET | Read a channel's messages | Messages of a channel, newest first, a page at a time. | channel oldest latest
    conversations_replies | GET | Read a thread | The replies to one message. | channel ts
    conversations_create | POST | Create a channel | Makes a public or private channel. | name is_private
    conversations_archive | POST | Archive a channel | Closes a channel; its history stays. | channel
    conversations_invite | POST | Invite people to a channel | Adds up to 1000 people to a channel. | channel users
    conversations_kick | POST | Remove someone from a channel | Takes a member out of a channel. | channel user
    conversations_members | GET | List members of a channel | Ids of the people in a channel. | channel
    conversations_rename | POST | Rename a channel | Gives a channel another name. | channel name
    conversations_setTopic | POST | Set a channel's topic | Changes the topic shown on top of a channel. | channel topic
    conversations_open | POST | Open a direct message | Opens a conversation with one or several people. | users
    users_list | GET | List people | Lists the members of the workspace. | cursor limit
    users_info | GET | Get a person | Profile and state of one member. | user
    users_lookupByEmail | GET | Find a person by email | Looks up a member by address. | email
    users_setPresence | POST | Set presence | Shows the bot as away or active. | presence
    reactions_add | POST | Add a reaction | Puts an emoji on a message. | channel timestamp name
    reactions_remove | POST | Remove a reaction | Takes an emoji off a message. | channel timestamp name
    pins_add | POST | Pin a message | Pins a message to its channel. | channel timestamp
    files_upload | POST | Upload a file | Uploads a file and shares it in channels. | channels content filename
    files_list | GET | List files | Files shared in the workspace. | user channel
    files_delete | DELETE | Delete a file | Deletes a file for good. | file
    search_messages | GET | Search messages | Finds messages by words, sender, channel and date. | query sort
    reminders_add | POST | Create a reminder | Reminds a person of something at a time. | text time
    team_info | GET | Get the workspace | Name, domain and icon of the workspace. |
";

const NOTION: &str = "
    search | POST | Search pages and databases | Finds pages and databases by title. | query filter sort
    pages_create | POST | Create a page | Makes a page in a database or under another page. | parent properties children
    pages_retrieve | GET | Get a page | Properties of one page. | page_id
    pages_update | PATCH | Update a page | Changes the properties of a page, archives or restores it. | page_id properties archived
    databases_create | POST | Create a database | Makes a database under a page. | parent title properties
    databases_query | POST | Query a database | Rows of a database that match a filter, sorted. | database_id filter sorts
    databases_retrieve | GET | Get a database | Columns and title of a database. | database_id
    databases_update | PATCH | Update a database | Changes the title or columns of a database. | database_id title
    blocks_children_list | GET | Read a page's content | The blocks inside a page or block. | block_id
    blocks_children_append | PATCH | Append content | Adds blocks such as paragraphs at the end of a page. | block_id children
    blocks_update | PATCH | Update a block | Changes the text of a block. | block_id
    blocks_delete | DELETE | Delete a block | Moves a block to the trash. | block_id
    comments_create | POST | Comment on a page | Adds a comment to a page or a discussion. | parent rich_text
    comments_list | GET | List comments | Open comments of a page or block. | block_id
    users_list | GET | List users | People and bots of the workspace. | page_size
    users_me | GET | Get the bot | The user behind this token. |
";

const HUBSPOT: &str = "
    contacts_create | POST | Create a contact | Adds a person to the CRM. | email firstname lastname phone
    contacts_get | GET | Get a contact | One person with properties. | contactId
    contacts_update | PATCH | Update a contact | Changes properties such as phone of a person. | contactId properties
    contacts_archive | DELETE | Delete a contact | Moves a person to the recycling bin. | contactId
    contacts_list | GET | List contacts | People of the CRM, a page at a time. | limit after
    contacts_search | POST | Search contacts | Finds people by name, email or any property. | query filterGroups
    contacts_merge | POST | Merge two contacts | Makes one person of two duplicates. | primaryObjectId objectIdToMerge
    companies_create | POST | Create a company | Adds an organisation to the CRM. | name domain
    companies_search | POST | Search companies | Finds organisations by domain or name. | query
    companies_get | GET | Get a company | One organisation with properties. | companyId
    deals_create | POST | Create a deal | Opens a deal in a pipeline stage, with an amount. | dealname amount pipeline
    deals_update | PATCH | Update a deal | Moves a deal to another stage, changes its amount. | dealId properties
    deals_list | GET | List deals | Deals of all pipelines. | limit
    deals_search | POST | Search deals | Finds deals by stage, owner, amount. | query
    tickets_create | POST | Create a ticket | Opens a support ticket. | subject content
    tickets_list | GET | List tickets | Support tickets, a page at a time. | limit
    notes_create | POST | Create a note | Logs a note on the timeline of a contact, company or deal. | hs_note_body
    tasks_create | POST | Create a task | A to-do for an owner, with a due date. | subject dueDate
    owners_list | GET | List owners | The people who can own records. | email
    pipelines_list | GET | List pipelines | Pipelines and their stages. | objectType
    associations_create | PUT | Associate records | Links two records, such as a contact and a company. | fromId toId
    marketingEmails_list | GET | List marketing emails | Marketing emails with their state. | limit
";

const MATRIX: &str = "
    sendMessage | PUT | Send a message | Sends a message event to a room. | roomId body msgtype
    createRoom | POST | Create a room | Makes a room and invites people to it. | name topic invite preset
    joinRoom | POST | Join a room | Joins a room by id or alias. | roomIdOrAlias
    leaveRoom | POST | Leave a room | Leaves a room this user is in. | roomId
    inviteUser | POST | Invite a user | Invites a user to a room. | roomId user_id
    kick | POST | Kick a user | Removes a user from a room. | roomId user_id reason
    ban | POST | Ban a user | Bars a user from a room for good. | roomId user_id
    getRoomMessages | GET | Read messages | Events of a room, newest first. | roomId from limit
    getJoinedRooms | GET | List joined rooms | Ids of the rooms this user is in. |
    getMembersByRoom | GET | List members of a room | Members with their state. | roomId
    redactEvent | PUT | Redact an event | Removes the content of a message from a room. | roomId eventId reason
    setRoomTopic | PUT | Set the topic of a room | Changes what the room says it is about. | roomId topic
    getProfile | GET | Get a profile | Display name and avatar of a user. | userId
    setDisplayName | PUT | Set the display name | Changes the name shown for this user. | userId displayname
    setTyping | PUT | Show typing | Tells a room that this user is typing. | roomId timeout
    uploadContent | POST | Upload media | Stores a file on the homeserver. | filename
    searchEvents | POST | Search messages | Full-text search in rooms. | search_term
    whoami | GET | Get the own user id | Which user the token belongs to. |
    publicRooms | GET | List public rooms | The directory of the server. | limit server
";
