import{Z as e}from"./index-D_Sn7roP.js";function p({type:f,sub:n,questions:r,...t}){return r?{...t,questions:e(r)}:t}export{p as r};
