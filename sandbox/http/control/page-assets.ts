/** Style and script of the page, kept beside it so that nothing has to be served from files. */
export const PAGE_STYLE = `
:root{--line:#e2e5e9;--soft:#f5f6f8;--ink:#1f2329;--dim:#646a73;--main:#2b6cff;--bad:#c9302c}
*{box-sizing:border-box}body{font:14px/1.55 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;margin:0;color:var(--ink)}
header,main{max-width:72rem;margin:0 auto;padding:0 1.25rem}header{padding-top:1rem}h1{font-size:1.3rem;margin:0}h1 small,.hint,small{color:var(--dim);font-weight:400}
h2{font-size:1rem;margin:1.5rem 0 .5rem}h3{font-size:.95rem;margin:0}.clock{margin:.25rem 0 .75rem}
nav{display:flex;flex-wrap:wrap;gap:.25rem;border-bottom:1px solid var(--line)}nav a{padding:.5rem .8rem;color:var(--dim);text-decoration:none;border-bottom:2px solid transparent}
nav a[aria-current]{color:var(--main);border-color:var(--main)}a{color:var(--main)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}th{color:var(--dim);font-weight:500;white-space:nowrap}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;background:var(--soft);border-radius:.5rem;padding:.75rem 1rem}dt{color:var(--dim);font-size:.85rem}dd{margin:0;font-weight:600}
article{border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;margin:.75rem 0}blockquote{margin:.5rem 0;padding:.5rem .75rem;background:var(--soft);border-radius:.4rem}
button{font:inherit;padding:.3rem .8rem;border:1px solid var(--main);color:var(--main);background:#fff;border-radius:.35rem;cursor:pointer;margin:.15rem 0}button:hover{background:var(--main);color:#fff}button:disabled{opacity:.5}
.ticks{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:.5rem 0}.bad{color:var(--bad)}pre{white-space:pre-wrap;background:var(--soft);padding:.5rem;font-size:12px;margin:.25rem 0}
.chat{max-width:34rem}.bubble{margin:.75rem 0}.bubble p{display:inline-block;margin:.15rem 0;padding:.5rem .75rem;background:var(--soft);border-radius:.5rem}.bubble small{display:block}.mine{text-align:right}.mine p{background:#d3f4c5}
.copy{font-size:.75rem;padding:0 .4rem;border-color:var(--line);color:var(--dim)}form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.5rem 0}input,select{font:inherit;padding:.25rem .4rem;border:1px solid var(--line);border-radius:.35rem}
#said{position:fixed;bottom:1rem;left:50%;transform:translateX(-50%);margin:0;padding:.5rem 1rem;border-radius:.4rem;background:var(--ink);color:#fff;max-width:90vw}#said:empty{display:none}
`

/** Buttons post to the control paths with the key of the address; what is shown is fetched again every two seconds. */
export const PAGE_SCRIPT = `
const key=new URLSearchParams(location.search).get('key');
const said=document.getElementById('said');
let touched=false;
function say(text){said.textContent=text;clearTimeout(say.timer);say.timer=setTimeout(()=>{said.textContent=''},6000)}
function fill(root){for(const place of root.querySelectorAll('[data-origin]'))place.textContent=location.origin}
async function refresh(force){
  if(!force&&(touched||document.hidden||document.querySelector('details[open]')))return;
  const next=new DOMParser().parseFromString(await (await fetch(location.href)).text(),'text/html');
  fill(next);
  for(const part of ['main','.clock']){const now=document.querySelector(part),then=next.querySelector(part);
    if(now.innerHTML!==then.innerHTML)now.innerHTML=then.innerHTML}
  touched=false;
}
for(const name of ['change','input'])document.addEventListener(name,()=>{touched=true});
fill(document);
document.addEventListener('click',async(event)=>{
  const button=event.target.closest('button.copy');
  if(!button)return;
  event.preventDefault();
  const text=button.dataset.copy||button.closest('article').querySelector('.'+button.dataset.copyBlock).textContent;
  try{await navigator.clipboard.writeText(text);say('已复制 Copied')}
  catch(err){say('复制不了，请手动选择 Cannot copy, select it by hand: '+err.message)}
});
document.addEventListener('click',async(event)=>{
  const button=event.target.closest('button[data-post]');
  if(!button)return;
  event.preventDefault();
  const body=JSON.parse(button.dataset.body);
  const form=button.closest('form');
  if(form)for(const [name,value] of new FormData(form))if(value!=='')body[name]=value;
  if(button.dataset.ticked)body[button.dataset.ticked]=[...button.closest('article').querySelectorAll('input:checked')].map((i)=>i.value);
  button.disabled=true;
  try{
    const reply=await fetch(button.dataset.post,{method:'POST',headers:{Authorization:'Bearer '+key},body:JSON.stringify(body)});
    const data=await reply.json();
    say(reply.ok?'完成 Done':data.message);
    await refresh(true);
  }catch(err){say('失败 Failed: '+err.message)}
  button.disabled=false;
});
setInterval(()=>{refresh(false).catch(()=>say('连接已断开 The sandbox does not answer'))},2000);
`
