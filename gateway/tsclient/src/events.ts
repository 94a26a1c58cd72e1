// Server-sent events over fetch: browsers' EventSource sends no token.

export type Event = { id?: string; name: string; data: unknown };

export async function* events(response: Response): AsyncGenerator<Event> {
  if (!response.body) return;
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
  }
}

function parse(frame: string): Event | undefined {
  const fields = new Map<string, string>();
  for (const line of frame.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1).trimStart());
  }
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return { id: fields.get("id"), name: fields.get("event") ?? "message", data: JSON.parse(data) };
}
