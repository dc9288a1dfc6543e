import{j as n}from"./index-pjo3GeU2.js";function e({id:r}){return n.jsx("h1",{children:r})}export{e as RunPage};
