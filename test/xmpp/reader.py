"""An XMPP client that shares no code with ours: subscribes to a pubsub node and prints each item as a line of JSON."""
import asyncio
import json
import logging
import sys

import slixmpp

EVENT = "{http://jabber.org/protocol/pubsub#event}"
jid, password, port, service, node = sys.argv[1:]
logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


def say(**what):
    print(json.dumps(what), flush=True)


def payload_of(item):
    """The one element in an item, with its attributes by namespace as the parser gave them."""
    (payload,) = list(item)
    return {"tag": payload.tag, "attributes": dict(payload.attrib), "text": payload.text or ""}


class Reader(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.register_plugin("xep_0060")
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("failed_auth", lambda _: sys.exit("not let in"))
        self.add_event_handler("pubsub_publish", self.published)
        self.add_event_handler("pubsub_retract", self.retracted)

    async def begin(self, _):
        self.send_presence()
        await self["xep_0060"].subscribe(service, node)
        say(event="subscribed", jid=self.boundjid.bare)

    def published(self, message):
        # slixmpp's own list of items cannot be walked within its walk over it.
        for item in message.xml.iter(EVENT + "item"):
            say(event="item", id=item.get("id"), sender=message["from"].bare, **payload_of(item))

    def retracted(self, message):
        for item in message.xml.iter(EVENT + "retract"):
            say(event="retract", id=item.get("id"))


reader = Reader()
reader.enable_starttls = False
reader.enable_direct_tls = False
reader.connect(("127.0.0.1", int(port)), force_starttls=False, disable_starttls=True)
asyncio.get_event_loop().run_forever()
