// Logs somebody in with a passkey. All else on the login page works without this
// script, and without it nobody sees what it is for.
//
// It asks for what the form says (PublicKeyCredentialRequestOptionsJSON of WebAuthn
// Level 3) and sends the answer as the JSON of the same specification. Both are
// written out here, for browsers that cannot do so themselves.
"use strict";

(() => {
  const form = document.getElementById("passkey");
  if (!form || !window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

  const request = () => {
    const options = JSON.parse(form.dataset.options);
    options.challenge = bytes(options.challenge);
    options.allowCredentials = (options.allowCredentials || []).map((one) => ({ ...one, id: bytes(one.id) }));
    return { publicKey: options };
  };

  const answer = ({ id, rawId, type, response, authenticatorAttachment }) => JSON.stringify({
    id, type, rawId: text(rawId), clientExtensionResults: {},
    ...(authenticatorAttachment && { authenticatorAttachment }),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      ...(response.userHandle && { userHandle: text(response.userHandle) }),
    },
  });

  const button = form.querySelector("button");
  const failed = document.getElementById("passkey-failed");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    failed.hidden = true;
    try {
      form.elements.passkey.value = answer(await navigator.credentials.get(request()));
      form.submit();
    } catch {
      // The person said no, has none for us, or took too long: browsers do not tell.
      failed.hidden = false;
      button.disabled = false;
    }
  });
  // Who comes back to the page finds it as it was.
  window.addEventListener("pageshow", () => { button.disabled = false; });
  form.hidden = false;
})();
