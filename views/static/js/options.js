/** The options panel: which form fields go with an upload, told in one line and as a curl command. */

/**
 * Keep the panel fitting to the chosen model.
 *
 * @param {HTMLFormElement} form
 * @param {() => void} onChange called at once, and whenever something is chosen
 */
export function watchOptions(form, onChange) {
  const refresh = () => {
    adaptToModel(form);
    onChange();
  };
  form.addEventListener("input", refresh);
  refresh();
}

/** The present choice for people, such as "fast · 4× · PNG". */
export function describeOptions(form) {
  const { model, scale, format, metadata, denoise } = form.elements;
  const parts = [model.value, `${scale.value || model.selectedOptions[0]?.dataset.scale}×`];
  if (format.value !== "same") parts.push(label(format));
  if (metadata.value !== "keep") parts.push(`metadata: ${label(metadata).toLowerCase()}`);
  if (!denoise.disabled && denoise.value !== denoise.defaultValue) parts.push(`denoise ${denoise.value}`);
  return parts.join(" · ");
}

/** The command that uploads with these fields. */
export function curlCommand(fields) {
  const parts = Object.entries(fields).map(([field, value]) => `-F ${field}=${value}`);
  return ["curl", "-F image=@photo.jpg", ...parts, `${location.origin}/upscale`].join(" ");
}

/** The form fields that differ from what the service does by itself. */
export function chosenFields(form) {
  const chosen = [...new FormData(form)].filter(([name, value]) => value !== defaultValue(form.elements[name]));
  return Object.fromEntries(chosen);
}

function defaultValue(element) {
  if (element instanceof HTMLInputElement) return element.defaultValue;
  return [...element.options].find((option) => option.defaultSelected)?.value;
}

/** Show what the chosen model is, its own scale, and its denoise control if it has one. */
function adaptToModel(form) {
  const { model, scale, denoise } = form.elements;
  const { description = "", scale: ownScale, denoise: canDenoise } = model.selectedOptions[0]?.dataset ?? {};
  form.querySelector("#model-hint").textContent = description.replaceAll("`", "");
  scale.options[0].textContent = ownScale ? `${ownScale}× (the model’s own)` : "The model’s own";
  denoise.disabled = canDenoise === undefined;
  form.querySelector("#denoise-field").hidden = denoise.disabled;
  form.querySelector("#denoise-value").value = denoise.value;
}

function label(select) {
  return select.selectedOptions[0].textContent.trim();
}
