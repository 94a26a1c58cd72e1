// What a tour checks with. The first thing that is not as it should be ends it.

export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function equal(got: unknown, want: unknown, what: string): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}: got ${a}, want ${b}`);
}

// The answer of openapi-fetch: data of a success, else the error.
type Answer<T> = { data?: T; error?: unknown; response: Response };

export function ok<T>(answer: Answer<T>, what: string): T {
  if (!answer.response.ok || answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

export function refused(answer: { error?: { reason: string }; response: Response }, status: number, reason: string): void {
  equal([answer.response.status, answer.error?.reason], [status, reason], answer.response.url);
  equal(answer.response.headers.get("content-type"), "application/problem+json", "media type of a problem");
}

export function defined<T>(value: T | undefined, what: string): T {
  check(value !== undefined, `${what} is missing`);
  return value;
}

// eventually repeats a call that is denied until it is not: the first grants
// of a new organisation follow its creation.
export async function eventually<A extends { response: Response }>(call: () => Promise<A>): Promise<A> {
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await call();
    if ((answer.response.status !== 403 && answer.response.status !== 503) || Date.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
