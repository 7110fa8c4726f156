// A person with a browser: signs in and allows, on the pages that an authorization URL leads to, by plain HTTP.

/** Goes through the pages; answers with the address that the browser is sent to in the end. */
export async function allow(authorizationUrl, { username, password }) {
  const first = await fetch(authorizationUrl);
  if (first.status !== 200) throw new Error(`the page for signing in answered ${first.status}: ${await first.text()}`);
  const signedIn = await submit(first, new URL('sign-in', authorizationUrl), { username, password });
  if (signedIn.status !== 200) throw new Error(`signing in was answered ${signedIn.status}: ${await signedIn.text()}`);
  const decided = await submit(signedIn, new URL('consent', authorizationUrl), { decision: 'allow' });
  const to = decided.headers.get('location');
  if (decided.status !== 303 || !to) throw new Error(`consent was answered ${decided.status}: ${await decided.text()}`);
  return new URL(to);
}

/** Sends the form of a page, as a browser does: with its hidden field, its cookie, and the page's origin. */
async function submit(page, action, fields) {
  const text = await page.text();
  const [, request] = text.match(/name="request" value="([^"]+)"/) ?? [];
  const [cookie] = page.headers.get('set-cookie').split(';');
  const body = new URLSearchParams({ request, ...fields });
  return fetch(action, { method: 'POST', body, redirect: 'manual', headers: { cookie, origin: action.origin } });
}
